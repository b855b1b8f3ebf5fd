//! The colours, dark and light. Text on every surface it is used on reaches a contrast of 4.5.

use egui::Color32;

/// The colours of one theme.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// Behind the picture.
    pub desk: Color32,
    /// Panels and bars.
    pub panel: Color32,
    /// Cards, dialogs, buttons at rest.
    pub raised: Color32,
    /// Buttons under the pointer.
    pub hovered: Color32,
    /// Buttons that are pressed, open or selected.
    pub pressed: Color32,
    /// Text fields and rails.
    pub sunken: Color32,
    /// Hairlines.
    pub line: Color32,
    /// Edges of fields and buttons.
    pub edge: Color32,
    /// Text.
    pub text: Color32,
    /// Labels and notes.
    pub muted: Color32,
    /// Hints in empty fields.
    pub faint: Color32,
    /// The accent.
    pub accent: Color32,
    /// The accent under the pointer.
    pub accent_hovered: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// The accent as a wash behind what is selected.
    pub accent_wash: Color32,
    /// Warnings.
    pub warning: Color32,
    /// Failures.
    pub danger: Color32,
    /// A star that is lit.
    pub star: Color32,
    /// Behind text that lies on a picture.
    pub scrim: Color32,
    /// Text that lies on a picture.
    pub on_scrim: Color32,
    /// Behind a dialog.
    pub backdrop: Color32,
}

/// Dark surfaces.
pub const DARK: Palette = Palette {
    desk: Color32::from_rgb(0x12, 0x13, 0x15),
    panel: Color32::from_rgb(0x1b, 0x1c, 0x1f),
    raised: Color32::from_rgb(0x26, 0x28, 0x2c),
    hovered: Color32::from_rgb(0x30, 0x32, 0x37),
    pressed: Color32::from_rgb(0x3a, 0x3d, 0x43),
    sunken: Color32::from_rgb(0x14, 0x15, 0x17),
    line: Color32::from_rgb(0x2c, 0x2e, 0x33),
    edge: Color32::from_rgb(0x38, 0x3b, 0x41),
    text: Color32::from_rgb(0xe6, 0xe7, 0xe9),
    muted: Color32::from_rgb(0xa2, 0xa6, 0xae),
    faint: Color32::from_rgb(0x84, 0x89, 0x92),
    accent: Color32::from_rgb(0x4c, 0xb8, 0xa4),
    accent_hovered: Color32::from_rgb(0x63, 0xc9, 0xb6),
    on_accent: Color32::from_rgb(0x06, 0x20, 0x1b),
    accent_wash: Color32::from_rgb(0x1f, 0x3d, 0x38),
    warning: Color32::from_rgb(0xe5, 0xb0, 0x5c),
    danger: Color32::from_rgb(0xee, 0x7b, 0x74),
    star: Color32::from_rgb(0xf0, 0xc2, 0x4b),
    scrim: Color32::from_rgba_premultiplied(0x0c, 0x0d, 0x0f, 0xc8),
    on_scrim: Color32::from_rgb(0xf2, 0xf3, 0xf4),
    backdrop: Color32::from_rgba_premultiplied(0, 0, 0, 0x99),
};

/// Light surfaces.
pub const LIGHT: Palette = Palette {
    desk: Color32::from_rgb(0xdf, 0xe0, 0xe2),
    panel: Color32::from_rgb(0xf4, 0xf4, 0xf5),
    raised: Color32::from_rgb(0xff, 0xff, 0xff),
    hovered: Color32::from_rgb(0xec, 0xed, 0xef),
    pressed: Color32::from_rgb(0xdf, 0xe1, 0xe4),
    sunken: Color32::from_rgb(0xff, 0xff, 0xff),
    line: Color32::from_rgb(0xdd, 0xde, 0xe1),
    edge: Color32::from_rgb(0xcb, 0xcd, 0xd2),
    text: Color32::from_rgb(0x1c, 0x1e, 0x21),
    muted: Color32::from_rgb(0x58, 0x5d, 0x66),
    faint: Color32::from_rgb(0x6c, 0x71, 0x7a),
    accent: Color32::from_rgb(0x0c, 0x7a, 0x69),
    accent_hovered: Color32::from_rgb(0x0a, 0x68, 0x5a),
    on_accent: Color32::from_rgb(0xff, 0xff, 0xff),
    accent_wash: Color32::from_rgb(0xd2, 0xec, 0xe7),
    warning: Color32::from_rgb(0x8f, 0x5b, 0x00),
    danger: Color32::from_rgb(0xb3, 0x2d, 0x27),
    star: Color32::from_rgb(0xd9, 0x9a, 0x00),
    scrim: Color32::from_rgba_premultiplied(0x0c, 0x0d, 0x0f, 0xc8),
    on_scrim: Color32::from_rgb(0xf2, 0xf3, 0xf4),
    backdrop: Color32::from_rgba_premultiplied(0, 0, 0, 0x66),
};
