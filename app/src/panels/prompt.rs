//! What to draw and what to avoid, with their length in tokens.

use egui::{Align, Id, Layout, RichText, TextEdit, Ui};
use pentimento_engine::event::TokenCount;

use super::PanelCx;
use crate::studio::draft::DraftEdit;
use crate::text::{t, t_args};
use crate::theme;

/// The prompt field's id, for moving the focus there.
pub fn prompt_id() -> Id {
    Id::unique("prompt field")
}

/// Draws both fields.
pub(super) fn prompt_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let (draft, tokens) = (&cx.studio.draft, &cx.studio.tokens);
    let mut prompt = draft.prompt.clone();
    let hint = t("prompt-hint");
    if text_ui(
        ui,
        prompt_id(),
        t("prompt"),
        hint,
        &mut prompt,
        4,
        tokens.prompt,
    ) {
        cx.commands.send(DraftEdit::Prompt(prompt));
    }
    ui.add_space(theme::size::S);
    let mut negative = draft.negative_prompt.clone();
    let hint = t("negative-prompt-hint");
    let id = Id::unique("negative prompt field");
    let title = t("negative-prompt");
    if text_ui(ui, id, title, hint, &mut negative, 2, tokens.negative) {
        cx.commands.send(DraftEdit::NegativePrompt(negative));
    }
    ui.add_space(theme::size::S);
}

fn text_ui(
    ui: &mut Ui,
    id: Id,
    title: &'static str,
    hint: &'static str,
    text: &mut String,
    rows: usize,
    count: Option<TokenCount>,
) -> bool {
    let mut label_id = id;
    ui.spacing_mut().interact_size.y = 20.0;
    ui.spacing_mut().item_spacing.y = theme::size::XS;
    ui.horizontal(|ui| {
        label_id = ui.label(theme::strong(title)).id;
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some(count) = count {
                count_ui(ui, count);
            }
        });
    });
    let palette = theme::palette(ui);
    let response = ui
        .add(
            TextEdit::multiline(text)
                .id(id)
                .hint_text(RichText::new(hint).color(palette.faint))
                .desired_width(f32::INFINITY)
                .desired_rows(rows)
                .margin(egui::Margin::symmetric(10, 8)),
        )
        .labelled_by(label_id);
    if let Some(count) = count
        && count.used > count.limit
    {
        let cut = t_args(
            "tokens-cut",
            [
                ("cut", (count.used - count.limit).into()),
                ("limit", count.limit.into()),
            ],
        );
        let text = RichText::new(cut)
            .size(theme::type_size::SMALL)
            .color(palette.warning);
        ui.add(egui::Label::new(text).wrap());
    }
    response.changed()
}

/// “12 / 75”, in the warning colour when the model cannot read all of it.
fn count_ui(ui: &mut Ui, count: TokenCount) {
    let palette = theme::palette(ui);
    let color = if count.used > count.limit {
        palette.warning
    } else {
        palette.faint
    };
    let text = format!("{} / {}", count.used, count.limit);
    ui.label(
        RichText::new(text)
            .size(theme::type_size::SMALL)
            .color(color),
    )
    .on_hover_text(t("tokens-tip"));
}
