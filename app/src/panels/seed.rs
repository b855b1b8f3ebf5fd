//! The seed: typed, drawn anew for each job, kept, or taken from the latest picture; and how many
//! pictures a click makes.

use egui::{Id, Ui};
use egui_material_icons::icons;

use super::PanelCx;
use crate::action::Action;
use crate::studio::draft::{DraftEdit, MAX_COUNT};
use crate::text::t;
use crate::theme::size;
use crate::widgets;

/// Draws the seed's section.
pub(super) fn seed_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let mut seed = studio.draft.seed.clone();
    widgets::section_ui(
        ui,
        t("variety"),
        |_| {},
        |ui| {
            widgets::field_ui(ui, t("seed"), |ui, label_id| {
                ui.spacing_mut().item_spacing.x = 2.0;
                let buttons = 3.0 * (size::ICON_BUTTON + 2.0);
                let width = ui.available_width() - buttons;
                let id = Id::unique("seed field");
                if widgets::seed_field_ui(ui, id, label_id, &mut seed.value, width).changed() {
                    // A typed seed is meant to be used.
                    seed.locked = true;
                    cx.commands.send(DraftEdit::Seed(seed.clone()));
                }
                let dice = icons::ICON_CASINO.outlined();
                let label = Action::DiceSeed.info().label();
                if widgets::icon_toggle_ui(ui, dice, label, !seed.locked).clicked() {
                    cx.commands.send(Action::DiceSeed);
                }
                let lock = if seed.locked {
                    icons::ICON_LOCK.outlined()
                } else {
                    icons::ICON_LOCK_OPEN.outlined()
                };
                let label = Action::LockSeed.info().label();
                if widgets::icon_toggle_ui(ui, lock, label, seed.locked).clicked() {
                    cx.commands.send(Action::LockSeed);
                }
                widgets::action_button_ui(ui, Action::UseLastSeed, studio, cx.commands);
            });
            let mut count = studio.draft.count.max(1);
            if widgets::number_ui(ui, t("count"), &mut count, 1..=MAX_COUNT, "").changed() {
                cx.commands.send(DraftEdit::Count(count));
            }
        },
    );
}
