//! A field for a 64-bit number: egui's own number fields go through f64 and would round it.

use egui::{Id, Response, TextEdit, Ui};

use crate::theme::size;

/// Shows the number as text; anything that is not a number from 0 to 2^64-1 is put back when the
/// field loses the focus.
pub fn seed_field_ui(ui: &mut Ui, id: Id, label_id: Id, value: &mut u64, width: f32) -> Response {
    let draft_id = id.with("draft");
    let editing: Option<String> = ui.data(|data| data.get_temp(draft_id));
    let mut text = editing.unwrap_or_else(|| value.to_string());
    let mut response = ui
        .add(
            TextEdit::singleline(&mut text)
                .id(id)
                .desired_width(width)
                .min_size(egui::vec2(width, size::CONTROL))
                .align(egui::Align2::LEFT_CENTER)
                .char_limit(20),
        )
        .labelled_by(label_id);
    let parsed = text.trim().parse::<u64>().ok();
    let typed = response.changed();
    // The text edit marks every keystroke; only a new number is a change to the caller.
    response.flags.set(egui::response::Flags::CHANGED, false);
    if typed
        && let Some(parsed) = parsed
        && parsed != *value
    {
        *value = parsed;
        response.mark_changed();
    }
    let has_focus = response.has_focus();
    ui.data_mut(|data| {
        if has_focus {
            data.insert_temp(draft_id, text);
        } else {
            data.remove_temp::<String>(draft_id);
        }
    });
    response
}
