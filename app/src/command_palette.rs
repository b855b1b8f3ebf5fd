//! Find a command by name: a fuzzy list over the table of actions, driven by the keyboard.

use egui::{Button, Id, Key, Modifiers, RichText, ScrollArea, TextEdit, Ui, vec2};

use crate::action::{ACTIONS, ActionInfo};
use crate::command::{Command, CommandSender};
use crate::studio::Studio;
use crate::text::t;
use crate::theme::{self, size};
use crate::widgets;

/// What the palette remembers while it is open.
#[derive(Clone, Debug, Default)]
struct Search {
    text: String,
    chosen: usize,
}

/// Draws the palette into a dialog. `just_opened`: forget the last search and take the focus.
pub fn palette_ui(ui: &mut Ui, studio: &Studio, commands: &mut CommandSender, just_opened: bool) {
    let memory = Id::unique("command palette");
    let mut search: Search = ui
        .data(|data| data.get_temp(memory))
        .filter(|_| !just_opened)
        .unwrap_or_default();
    let (up, down, enter) = ui.input_mut(|input| {
        (
            input.count_and_consume_key(Modifiers::NONE, Key::ArrowUp),
            input.count_and_consume_key(Modifiers::NONE, Key::ArrowDown),
            input.consume_key(Modifiers::NONE, Key::Enter),
        )
    });
    let palette = theme::palette(ui);
    let field = ui.add(
        TextEdit::singleline(&mut search.text)
            .id(memory.with("field"))
            .hint_text(RichText::new(t("palette-hint")).color(palette.faint))
            .desired_width(f32::INFINITY)
            .min_size(vec2(0.0, size::PRIMARY))
            .align(egui::Align2::LEFT_CENTER),
    );
    field.widget_info(|| {
        let mut info =
            egui::WidgetInfo::text_edit(true, "", search.text.as_str(), t("palette-hint"));
        info.label = Some(t("palette-hint").to_owned());
        info
    });
    field.request_focus();
    if field.changed() {
        search.chosen = 0;
    }
    let found = matches(&search.text, studio);
    search.chosen = (search.chosen + down)
        .saturating_sub(up)
        .min(found.len().saturating_sub(1));
    let mut run = enter.then(|| found.get(search.chosen).copied()).flatten();
    ui.add_space(size::XS);
    let room = (ui.ctx().content_rect().height() * 0.5).max(160.0);
    ScrollArea::vertical().max_height(room).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 2.0;
        for (at, info) in found.iter().enumerate() {
            let on = at == search.chosen;
            let response = entry_ui(ui, info, on);
            if on && (up > 0 || down > 0) {
                response.scroll_to_me(None);
            }
            if response.clicked() {
                run = Some(info);
            }
        }
        if found.is_empty() {
            ui.label(theme::muted(ui, t("palette-nothing")));
        }
    });
    ui.data_mut(|data| data.insert_temp(memory, search));
    if let Some(info) = run {
        commands.send(Command::CloseOverlay);
        commands.send(info.action);
    }
}

fn entry_ui(ui: &mut Ui, info: &ActionInfo, on: bool) -> egui::Response {
    let palette = theme::palette(ui);
    let mut button = Button::new((
        widgets::icon_text(info.icon).color(palette.muted),
        info.label(),
    ))
    .frame_when_inactive(on)
    .min_size(vec2(ui.available_width(), 32.0));
    if on {
        button = button.fill(palette.accent_wash);
    }
    if let Some(shortcut) = info.shortcut {
        let keys = widgets::keys_text(ui, &shortcut);
        button = button.shortcut_text(RichText::new(keys).size(11.5).color(palette.faint));
    }
    let response = ui.add(button);
    widgets::name(&response, true, info.label());
    response.on_hover_text(info.tip())
}

/// Actions that make sense now and whose label holds the letters of `text` in order, best first.
fn matches(text: &str, studio: &Studio) -> Vec<&'static ActionInfo> {
    let mut found: Vec<(u32, &ActionInfo)> = ACTIONS
        .iter()
        .filter(|info| info.action != crate::action::Action::OpenPalette)
        .filter(|info| (info.enabled)(studio))
        .filter_map(|info| Some((badness(text, info.label())?, info)))
        .collect();
    found.sort_by_key(|(badness, _)| *badness);
    found.into_iter().map(|(_, info)| info).collect()
}

/// How badly a label fits: letters skipped, words' beginnings for free; `None` when it does not.
fn badness(text: &str, label: &str) -> Option<u32> {
    let label: Vec<char> = label.to_lowercase().chars().collect();
    let mut at = 0;
    let mut badness = 0;
    for wanted in text
        .to_lowercase()
        .chars()
        .filter(|letter| !letter.is_whitespace())
    {
        let skip = label[at..].iter().position(|letter| *letter == wanted)?;
        let begins_word = at + skip == 0 || label[at + skip - 1] == ' ';
        badness += match (skip, begins_word) {
            (0, _) => 0,
            (_, true) => 1,
            _ => 2 + skip as u32,
        };
        at += skip + 1;
    }
    Some(badness)
}

#[cfg(test)]
mod tests {
    use super::badness;

    #[test]
    fn word_beginnings_fit_better_than_letters_inside() {
        assert_eq!(badness("zz", "Use the last seed"), None);
        assert_eq!(badness("", "Generate"), Some(0));
        let initials = badness("uls", "Use the last seed").expect("fits");
        let inside = badness("seh", "Use the last seed").expect("fits");
        assert!(initials < inside);
    }
}
