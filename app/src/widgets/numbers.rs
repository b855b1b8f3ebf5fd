//! A field for a list of numbers.

use egui::{Id, Response, TextEdit, Ui};

use crate::theme::size;

/// Shows the numbers with spaces between; commas separate, too. What is not a list of numbers is put
/// back when the field loses the focus. `hint` stands in the empty field.
pub fn numbers_field_ui(
    ui: &mut Ui,
    id: Id,
    label_id: Id,
    value: &mut Vec<f64>,
    hint: &'static str,
) -> Response {
    let draft_id = id.with("draft");
    let editing: Option<String> = ui.data(|data| data.get_temp(draft_id));
    let mut text = editing.unwrap_or_else(|| joined(value));
    let width = ui.available_width();
    let mut response = ui
        .add(
            TextEdit::singleline(&mut text)
                .id(id)
                .desired_width(width)
                .min_size(egui::vec2(width, size::CONTROL))
                .align(egui::Align2::LEFT_CENTER)
                .hint_text(hint),
        )
        .labelled_by(label_id);
    let typed = response.changed();
    // The text edit marks every keystroke; only another list is a change to the caller.
    response.flags.set(egui::response::Flags::CHANGED, false);
    if typed
        && let Some(numbers) = numbers(&text)
        && numbers != *value
    {
        *value = numbers;
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

/// The numbers as the field shows them.
pub(super) fn joined(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    numbers.join(" ")
}

fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok().filter(|number: &f64| number.is_finite()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_is_shown() {
        assert_eq!(numbers(" 14.6,\n2.5\t0,"), Some(vec![14.6, 2.5, 0.0]));
        assert_eq!(numbers(""), Some(Vec::new()));
        for text in ["1 2 x", "inf", "NaN", "1;2"] {
            assert_eq!(numbers(text), None, "{text}");
        }
        let list = vec![14.6, 2.5, 0.0];
        assert_eq!(numbers(&joined(&list)), Some(list));
    }
}
