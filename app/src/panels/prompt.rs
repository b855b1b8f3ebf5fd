//! What to draw and what to avoid, with their length in tokens and how the model reads them.

use egui::text::{CCursor, CCursorRange};
use egui::{
    Align, Button, Context, Id, Key, Layout, Modifiers, Popup, RichText, Role, TextEdit, Ui,
    WidgetInfo,
};
use pentimento_engine::prompt::inspect::Inspection;

use super::PanelCx;
use crate::studio::draft::DraftEdit;
use crate::studio::weight_edit::step_weight;
use crate::text::{t, t_args};
use crate::theme;
use crate::widgets::inspection_ui;

/// The prompt field's id, for moving the focus there.
pub fn prompt_id() -> Id {
    Id::unique("prompt field")
}

/// Draws both fields.
pub(super) fn prompt_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let (draft, read) = (&cx.studio.draft, &cx.studio.prompts);
    let mut prompt = draft.prompt.clone();
    let hint = t("prompt-hint");
    if text_ui(
        ui,
        prompt_id(),
        t("prompt"),
        hint,
        &mut prompt,
        4,
        read.prompt.as_ref(),
    ) {
        cx.commands.send(DraftEdit::Prompt(prompt));
    }
    ui.add_space(theme::size::S);
    let mut negative = draft.negative_prompt.clone();
    let hint = t("negative-prompt-hint");
    let id = Id::unique("negative prompt field");
    let title = t("negative-prompt");
    let inspection = read.negative.as_ref();
    if text_ui(ui, id, title, hint, &mut negative, 2, inspection) {
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
    inspection: Option<&Inspection>,
) -> bool {
    let weighed = weigh_by_key(ui.ctx(), id, text);
    let mut label_id = id;
    ui.spacing_mut().interact_size.y = 20.0;
    ui.spacing_mut().item_spacing.y = theme::size::XS;
    ui.horizontal(|ui| {
        label_id = ui.label(theme::strong(title)).id;
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some(inspection) = inspection {
                count_ui(ui, title, inspection);
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
    if let Some(count) = inspection.map(|inspection| inspection.count)
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
    response.changed() || weighed
}

/// Ctrl+Up and Ctrl+Down change the weight of the selection or the word at the cursor, as in A1111.
fn weigh_by_key(ctx: &Context, id: Id, text: &mut String) -> bool {
    if !ctx.memory(|memory| memory.has_focus(id)) {
        return false;
    }
    let presses = |key| {
        let count = ctx.input_mut(|input| input.count_and_consume_key(Modifiers::COMMAND, key));
        i32::try_from(count).unwrap_or(i32::MAX)
    };
    let tenths = presses(Key::ArrowUp) - presses(Key::ArrowDown);
    let Some(mut state) = TextEdit::load_state(ctx, id).filter(|_| tenths != 0) else {
        return false;
    };
    let Some(range) = state.cursor.char_range() else {
        return false;
    };
    let [start, end] = range.sorted_cursors().map(|cursor| cursor.index.0);
    let Some((weighed, place)) = step_weight(text, start..end, tenths) else {
        return false;
    };
    *text = weighed;
    let range = CCursorRange::two(CCursor::new(place.start), CCursor::new(place.end));
    state.cursor.set_char_range(Some(range));
    TextEdit::store_state(ctx, id, state);
    true
}

/// “12 / 75”, in the warning colour when the model cannot read all of it; how it reads it on hover
/// and, for the keyboard, on a press.
fn count_ui(ui: &mut Ui, title: &str, inspection: &Inspection) {
    let count = inspection.count;
    let palette = theme::palette(ui);
    let color = if count.used > count.limit {
        palette.warning
    } else {
        palette.faint
    };
    let text = format!("{} / {}", count.used, count.limit);
    let name = format!("{title}: {text}");
    let text = RichText::new(text)
        .size(theme::type_size::SMALL)
        .color(color);
    // Without a frame at rest the number stands flush with the field below.
    ui.spacing_mut().button_padding.x = 0.0;
    let response = ui.add(Button::new(text).frame_when_inactive(false).small());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    Popup::from_toggle_button_response(&response).show(|ui| inspection_ui(ui, inspection));
    if !Popup::is_id_open(ui.ctx(), Popup::default_response_id(&response)) {
        response.on_hover_ui(|ui| inspection_ui(ui, inspection));
    }
}
