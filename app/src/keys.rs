//! The keyboard: the table's shortcuts, the order of Escape, and the large view's keys.

use egui::text_selection::LabelSelectionState;
use egui::{Context, Event, Key, KeyboardShortcut, Modifiers, Popup};

use crate::action::{ACTIONS, Action};
use crate::command::{Command, CommandSender, GalleryCommand};
use crate::studio::gallery::OpenFor;
use crate::studio::{Overlay, Studio};

/// Turns keys into commands; call before any widget is drawn.
pub fn handle(ctx: &Context, studio: &Studio, commands: &mut CommandSender) {
    escape(ctx, studio, commands);
    copy(ctx, studio, commands);
    if studio.overlay == Some(Overlay::Viewer) && !ctx.text_edit_focused() {
        viewer(ctx, studio, commands);
    }
    // The more modifiers, the earlier: Ctrl+L would take Ctrl+Shift+L as well.
    for with_shift in [true, false] {
        for info in ACTIONS {
            let Some(shortcut) = info.shortcut else {
                continue;
            };
            // A text field has an undo of its own.
            let is_of_text = matches!(info.action, Action::Undo | Action::Redo);
            if info.action == Action::Cancel
                || (is_of_text && ctx.text_edit_focused())
                || shortcut.modifiers.shift != with_shift
                || !consume(ctx, &shortcut)
            {
                continue;
            }
            if (info.enabled)(studio) && allowed(studio, info.action) {
                commands.send(info.action);
            }
        }
    }
}

fn consume(ctx: &Context, shortcut: &KeyboardShortcut) -> bool {
    ctx.input_mut(|input| input.consume_shortcut(shortcut))
}

/// While a dialog is open, only what opens another one, or what it is about.
fn allowed(studio: &Studio, action: Action) -> bool {
    match studio.overlay {
        None => true,
        Some(Overlay::Viewer) => action != Action::Generate,
        Some(_) => matches!(
            action,
            Action::OpenPalette
                | Action::OpenHelp
                | Action::OpenSettings
                | Action::Quit
                | Action::ScaleUp
                | Action::ScaleDown
        ),
    }
}

/// Escape closes what is open (egui's own popups close themselves), then leaves the tool, then
/// cancels the running job.
fn escape(ctx: &Context, studio: &Studio, commands: &mut CommandSender) {
    let pressed = ctx.input(|input| input.key_pressed(Key::Escape));
    if !pressed || Popup::is_any_open(ctx) {
        return;
    }
    ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape));
    if studio.overlay.is_some() {
        commands.send(Command::CloseOverlay);
    } else if let Some(leave) = studio.leave_tool() {
        commands.send(leave);
    } else if studio.jobs.is_busy() {
        commands.send(Action::Cancel);
    }
}

/// The system's copy key copies the picture that is looked at, unless text is selected.
fn copy(ctx: &Context, studio: &Studio, commands: &mut CommandSender) {
    let pressed = ctx.input(|input| input.events.contains(&Event::Copy));
    if !pressed
        || ctx.text_edit_focused()
        || ctx.plugin::<LabelSelectionState>().lock().has_selection()
    {
        return;
    }
    match (studio.overlay, studio.gallery.selected.clone()) {
        (Some(Overlay::Viewer), Some(id)) => {
            commands.send(GalleryCommand::Open(id, OpenFor::Clipboard));
        }
        (None, _) if studio.has_picture() => commands.send(Action::CopyCanvas),
        _ => {}
    }
}

fn viewer(ctx: &Context, studio: &Studio, commands: &mut CommandSender) {
    let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if pressed(Key::ArrowRight) {
        commands.send(GalleryCommand::Step(1));
    }
    if pressed(Key::ArrowLeft) {
        commands.send(GalleryCommand::Step(-1));
    }
    let Some(entry) = studio.gallery.selected_entry() else {
        return;
    };
    if pressed(Key::Period) {
        commands.send(GalleryCommand::Star(entry.path.clone(), !entry.starred));
    }
    if pressed(Key::Delete) {
        commands.send(GalleryCommand::Delete(entry.path.clone()));
    }
}
