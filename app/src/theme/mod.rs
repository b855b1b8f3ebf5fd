//! The only place with colours and sizes: a calm neutral surface, one accent (verdigris, the
//! painter's copper green), hairlines for separators and a spacing scale of 4, 8, 12, 16, 24.

mod fonts;
mod palette;
mod style;

pub use fonts::{strong, strong_family};
pub use palette::{DARK, LIGHT, Palette};

use egui::{FontId, RichText};

use crate::studio::settings::ThemeChoice;

/// The spacing scale and fixed sizes, in points.
pub mod size {
    /// Between things that belong together.
    pub const XS: f32 = 4.0;
    /// Between controls.
    pub const S: f32 = 8.0;
    /// Inside cards.
    pub const M: f32 = 12.0;
    /// Around panels.
    pub const L: f32 = 16.0;
    /// Between sections of a page.
    pub const XL: f32 = 24.0;
    /// Rounded corners.
    pub const RADIUS: u8 = 6;
    /// Height of buttons and fields.
    pub const CONTROL: f32 = 28.0;
    /// Height of the button that starts a job.
    pub const PRIMARY: f32 = 36.0;
    /// Side of an icon button.
    pub const ICON_BUTTON: f32 = 28.0;
    /// Side of an icon.
    pub const ICON: f32 = 18.0;
    /// Width of the controls.
    pub const CONTROLS_WIDTH: f32 = 316.0;
    /// Width of the gallery.
    pub const GALLERY_WIDTH: f32 = 268.0;
    /// Least width of the gallery.
    pub const GALLERY_MIN_WIDTH: f32 = 148.0;
    /// Narrower windows hide the gallery, so that the canvas keeps its room.
    pub const NARROW_WINDOW: f32 = 900.0;
    /// Wanted side of a thumbnail.
    pub const THUMBNAIL: f32 = 112.0;
    /// Height of the bar on top.
    pub const TOP_BAR: f32 = 40.0;
    /// Height of the bar below.
    pub const STATUS_BAR: f32 = 32.0;
    /// Height of the bar of staged results.
    pub const STAGING_BAR: f32 = 44.0;
    /// Width of a dialog.
    pub const DIALOG: f32 = 560.0;
    /// Width of a notice.
    pub const NOTICE: f32 = 340.0;
}

/// The type scale, in points.
pub mod type_size {
    /// Notes and counters.
    pub const SMALL: f32 = 11.5;
    /// Everything else.
    pub const BODY: f32 = 13.0;
    /// Titles of dialogs.
    pub const HEADING: f32 = 16.0;
    /// The one large line of an empty page.
    pub const TITLE: f32 = 24.0;
}

/// Fonts, and both styles; call once.
pub fn install(ctx: &egui::Context) {
    fonts::install(ctx);
    style::install(ctx);
}

/// Follows the settings.
pub fn follow(ctx: &egui::Context, choice: ThemeChoice, scale_percent: u32) {
    let preference = match choice {
        ThemeChoice::Dark => egui::ThemePreference::Dark,
        ThemeChoice::Light => egui::ThemePreference::Light,
        ThemeChoice::System => egui::ThemePreference::System,
    };
    if ctx.options(|options| options.theme_preference) != preference {
        ctx.set_theme(preference);
    }
    let zoom = scale_percent as f32 / 100.0;
    if (ctx.zoom_factor() - zoom).abs() > 0.001 {
        ctx.set_zoom_factor(zoom);
    }
}

/// The colours in use.
pub fn palette(ui: &egui::Ui) -> &'static Palette {
    palette_of(ui.visuals().dark_mode)
}

/// The dark or the light colours.
pub fn palette_of(dark: bool) -> &'static Palette {
    if dark { &DARK } else { &LIGHT }
}

/// Small muted text: labels of fields, notes.
pub fn muted(ui: &egui::Ui, text: impl Into<String>) -> RichText {
    RichText::new(text)
        .size(type_size::SMALL)
        .color(palette(ui).muted)
}

/// A title of a dialog.
pub fn heading(text: impl Into<String>) -> RichText {
    strong(text).size(type_size::HEADING)
}

/// The font of the body text.
pub fn body_font() -> FontId {
    FontId::proportional(type_size::BODY)
}

/// The font of notes.
pub fn small_font() -> FontId {
    FontId::proportional(type_size::SMALL)
}
