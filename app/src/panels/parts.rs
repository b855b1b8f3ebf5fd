//! Who lends what a model's file does not hold: shown for such files.

use egui::Ui;
use pentimento_engine::recipe::ModelRef;

use super::PanelCx;
use crate::studio::draft::DraftEdit;
use crate::text::{t, t_args};
use crate::widgets::{self, ChoiceItem};

/// Draws the row below the model.
pub(super) fn parts_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let Some(borrowed) = studio
        .model()
        .and_then(|model| model.storage.borrowed.as_ref())
    else {
        return;
    };
    let name = |id: &str| {
        let found = studio.catalog.find(id);
        found.map_or_else(|| id.to_owned(), |model| model.name.clone())
    };
    let automatic = t_args(
        "parts-automatic",
        [("model", name(borrowed.usual()).into())],
    );
    let names: Vec<String> = borrowed.lenders.iter().map(|id| name(id)).collect();
    let lenders = borrowed.lenders.iter().zip(&names);
    let mut items = vec![ChoiceItem {
        id: "",
        label: &automatic,
        hint: "",
    }];
    items.extend(lenders.map(|(id, label)| ChoiceItem {
        id,
        label,
        hint: "",
    }));
    let wanted = &studio.draft.sampling.network.parts_from;
    let meant = wanted.as_ref().map(|wanted| {
        let found = studio.catalog.lender(borrowed, wanted);
        found.map_or_else(|_missing| wanted.id.clone(), |model| model.id.clone())
    });
    let before = meant.unwrap_or_default();
    let mut chosen = before.clone();
    let tip = t_args("parts-tip", [("parts", borrowed.parts.clone().into())]);
    widgets::field_ui(ui, t("parts"), |ui, _| {
        widgets::choice_ui(ui, t("parts"), &mut chosen, &items).on_hover_text(tip)
    });
    if chosen != before {
        let mut sampling = studio.draft.sampling.clone();
        sampling.network.parts_from = (!chosen.is_empty()).then(|| ModelRef {
            id: chosen,
            ..ModelRef::default()
        });
        cx.commands.send(DraftEdit::Sampling(Box::new(sampling)));
    }
}
