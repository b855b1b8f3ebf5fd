//! The panels, one a file: each reads the studio and sends commands. [`PANELS`] lists them by place;
//! `app` walks it.

mod about;
mod add_ons;
mod advanced;
mod controls;
mod gallery;
mod generate;
mod help;
mod knobs;
mod menu_bar;
mod model;
mod network;
mod notices;
mod parts;
mod prompt;
mod refiner;
mod sampling;
mod seed;
mod settings;
mod size;
mod start;
mod status;
mod type_path;
mod unfinished;
mod unsaved;
mod vae;
mod viewer;
mod welcome;

use egui::Ui;

use crate::command::CommandSender;
use crate::studio::{Overlay, Studio};
use crate::textures::Textures;

pub use gallery::search_id;
pub use prompt::prompt_id;

/// What a panel gets: the state to read, the sender to answer with, and the textures.
pub struct PanelCx<'a> {
    /// The state.
    pub studio: &'a Studio,
    /// Where commands go.
    pub commands: &'a mut CommandSender,
    /// Pixels on the graphics card.
    pub textures: &'a mut Textures,
}

/// Where a panel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The bar on top.
    Top,
    /// A section of the controls on the left.
    Controls,
    /// Below the controls, always in sight.
    ControlsFoot,
    /// On the right.
    Gallery,
    /// The bar below.
    Status,
    /// On the canvas while it is empty.
    EmptyCanvas,
    /// Over everything, in a corner.
    Corner,
    /// A dialog, shown while this overlay is open.
    Dialog(Overlay),
}

/// A panel.
pub struct PanelInfo {
    /// Stable name.
    pub id: &'static str,
    /// Where it stands.
    pub place: Place,
    /// Draws it.
    pub ui: fn(&mut Ui, &mut PanelCx<'_>),
}

/// Every panel, in the order of its place.
pub static PANELS: &[PanelInfo] = &[
    panel("menu_bar", Place::Top, menu_bar::menu_bar_ui),
    panel("prompt", Place::Controls, prompt::prompt_ui),
    panel("start", Place::Controls, start::start_ui),
    panel("model", Place::Controls, model::model_ui),
    panel("add_ons", Place::Controls, add_ons::add_ons_ui),
    panel("size", Place::Controls, size::size_ui),
    panel("sampling", Place::Controls, sampling::sampling_ui),
    panel("seed", Place::Controls, seed::seed_ui),
    panel("advanced", Place::Controls, advanced::advanced_ui),
    panel("generate", Place::ControlsFoot, generate::generate_ui),
    panel("gallery", Place::Gallery, gallery::gallery_ui),
    panel("status", Place::Status, status::status_ui),
    panel("welcome", Place::EmptyCanvas, welcome::welcome_ui),
    panel("notices", Place::Corner, notices::notices_ui),
    panel("unfinished", Place::Corner, unfinished::unfinished_ui),
    panel("viewer", Place::Dialog(Overlay::Viewer), viewer::viewer_ui),
    panel(
        "settings",
        Place::Dialog(Overlay::Settings),
        settings::settings_ui,
    ),
    panel("help", Place::Dialog(Overlay::Help), help::help_ui),
    panel(
        "type_path",
        Place::Dialog(Overlay::TypePath),
        type_path::type_path_ui,
    ),
    panel(
        "unsaved",
        Place::Dialog(Overlay::Unsaved),
        unsaved::unsaved_ui,
    ),
    panel("about", Place::Dialog(Overlay::About), about::about_ui),
];

const fn panel(id: &'static str, place: Place, ui: fn(&mut Ui, &mut PanelCx<'_>)) -> PanelInfo {
    PanelInfo { id, place, ui }
}

/// Draws every panel of a place.
pub fn place_ui(ui: &mut Ui, place: Place, cx: &mut PanelCx<'_>) {
    for panel in PANELS.iter().filter(|panel| panel.place == place) {
        ui.push_id(panel.id, |ui| (panel.ui)(ui, cx));
    }
}

pub use controls::controls_ui;
