//! egui's style from the tokens.

use egui::style::{ScrollStyle, Selection, WidgetVisuals, Widgets};
use egui::{
    CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Theme, Visuals,
    vec2,
};

use super::{Palette, palette_of, size, strong_family, type_size};

/// Sets both styles; call once.
pub(super) fn install(ctx: &egui::Context) {
    for theme in [Theme::Dark, Theme::Light] {
        ctx.style_mut_of(theme, |style| shape(style, theme == Theme::Dark));
    }
}

fn shape(style: &mut Style, dark: bool) {
    let plain = |size| FontId::new(size, FontFamily::Proportional);
    style.text_styles = [
        (TextStyle::Small, plain(type_size::SMALL)),
        (TextStyle::Body, plain(type_size::BODY)),
        (TextStyle::Button, plain(type_size::BODY)),
        (
            TextStyle::Heading,
            FontId::new(type_size::HEADING, strong_family()),
        ),
        (
            TextStyle::Monospace,
            FontId::new(type_size::BODY - 1.0, FontFamily::Monospace),
        ),
    ]
    .into();
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(size::S, size::S);
    spacing.button_padding = vec2(10.0, 5.0);
    spacing.interact_size = vec2(size::CONTROL, size::CONTROL);
    spacing.window_margin = Margin::same(size::L as i8);
    spacing.menu_margin = Margin::same(6);
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 9.0;
    spacing.icon_spacing = 6.0;
    spacing.slider_rail_height = 4.0;
    spacing.combo_height = 420.0;
    spacing.tooltip_width = 320.0;
    spacing.scroll = ScrollStyle {
        bar_width: 8.0,
        floating_width: 4.0,
        foreground_color: false,
        ..ScrollStyle::floating()
    };
    style.interaction.tooltip_delay = 0.4;
    style.interaction.selectable_labels = false;
    style.animation_time = 0.1;
    style.visuals = visuals(palette_of(dark), dark);
}

fn visuals(palette: &Palette, dark: bool) -> Visuals {
    let base = if dark {
        Visuals::dark()
    } else {
        Visuals::light()
    };
    let radius = CornerRadius::same(size::RADIUS);
    let shadow = Shadow {
        offset: [0, 6],
        blur: 24,
        spread: 0,
        color: palette.backdrop,
    };
    let mut visuals = Visuals {
        dark_mode: dark,
        weak_text_color: Some(palette.muted),
        widgets: widgets(palette),
        selection: Selection {
            bg_fill: palette.accent_wash,
            stroke: Stroke::new(1.0, palette.accent),
        },
        hyperlink_color: palette.accent,
        faint_bg_color: palette.raised,
        extreme_bg_color: palette.sunken,
        text_edit_bg_color: Some(palette.sunken),
        code_bg_color: palette.sunken,
        warn_fg_color: palette.warning,
        error_fg_color: palette.danger,
        window_corner_radius: CornerRadius::same(10),
        window_shadow: shadow,
        window_fill: palette.panel,
        window_stroke: Stroke::new(1.0, palette.edge),
        menu_corner_radius: CornerRadius::same(8),
        panel_fill: palette.panel,
        popup_shadow: shadow,
        indent_has_left_vline: false,
        slider_trailing_fill: true,
        handle_shape: egui::style::HandleShape::Circle,
        disabled_alpha: 0.45,
        ..base
    };
    visuals.widgets.noninteractive.corner_radius = radius;
    visuals
}

fn widgets(palette: &Palette) -> Widgets {
    let radius = CornerRadius::same(size::RADIUS);
    let widget = |fill, edge, text| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, edge),
        corner_radius: radius,
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    Widgets {
        noninteractive: widget(palette.panel, palette.line, palette.text),
        inactive: widget(palette.raised, palette.edge, palette.text),
        hovered: widget(palette.hovered, palette.edge, palette.text),
        active: widget(palette.pressed, palette.accent, palette.text),
        open: widget(palette.pressed, palette.edge, palette.text),
    }
}
