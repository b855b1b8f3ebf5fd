//! The model that takes over for the last details, and when.

use egui::Ui;
use pentimento_engine::catalog::ModelInfo;
use pentimento_engine::recipe::{ModelRef, Refiner};

use super::PanelCx;
use crate::studio::draft::DraftEdit;
use crate::text::t;
use crate::widgets::{self, ChoiceItem};

/// Draws the rows into the advanced section.
pub(super) fn refiner_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let mut refiner = studio.draft.refiner.clone();
    let none = ChoiceItem {
        id: "",
        label: t("refiner-none"),
        hint: "",
    };
    let before = refiner
        .as_ref()
        .map(|refiner| refiner.model.id.clone())
        .unwrap_or_default();
    let first = studio.model();
    let fits = |model: &&ModelInfo| {
        let fits = first.is_none_or(|first| model.check_refines(first).is_ok());
        fits || model.id == before
    };
    let models = studio.catalog.models.iter().filter(fits);
    let models = models.map(|model| ChoiceItem {
        id: &model.id,
        label: &model.name,
        hint: &model.storage.variant,
    });
    let items: Vec<ChoiceItem<'_>> = [none].into_iter().chain(models).collect();
    let mut chosen = before.clone();
    let response = widgets::field_ui(ui, t("refiner"), |ui, _| {
        widgets::choice_ui(ui, t("refiner"), &mut chosen, &items).on_hover_text(t("refiner-tip"))
    });
    if response.changed() {
        let switch_at = refiner.map_or(Refiner::USUAL_SWITCH, |refiner| refiner.switch_at);
        refiner = (!chosen.is_empty()).then(|| Refiner {
            model: ModelRef {
                id: chosen,
                ..ModelRef::default()
            },
            switch_at,
            parts_from: None,
        });
    }
    if let Some(refiner) = &mut refiner {
        let at = &mut refiner.switch_at;
        widgets::slider_ui(ui, t("refiner-switch"), at, 0.0..=1.0, 0.0..=1.0, 0.05)
            .on_hover_text(t("refiner-switch-tip"));
    }
    if refiner != studio.draft.refiner {
        cx.commands.send(DraftEdit::Refiner(refiner));
    }
}
