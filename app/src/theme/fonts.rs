//! Inter for text, Material Symbols for icons, egui's own fonts behind them for other scripts.

use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily, RichText};

const INTER: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.otf");
const INTER_STRONG: &[u8] = include_bytes!("../../../assets/fonts/Inter-SemiBold.otf");
const STRONG: &str = "strong";

/// Makes the fonts known; call once.
pub(super) fn install(ctx: &egui::Context) {
    let mut fonts = FontDefinitions::default();
    for (name, bytes) in [("inter", INTER), ("inter-strong", INTER_STRONG)] {
        let data = Arc::new(FontData::from_static(bytes));
        fonts.font_data.insert(name.to_owned(), data);
    }
    let fallback = fonts
        .families
        .get(&FontFamily::Proportional)
        .cloned()
        .unwrap_or_default();
    let with_fallback = |first: &str| {
        let mut names = vec![first.to_owned()];
        names.extend(fallback.iter().cloned());
        names
    };
    fonts
        .families
        .insert(strong_family(), with_fallback("inter-strong"));
    fonts
        .families
        .insert(FontFamily::Proportional, with_fallback("inter"));
    ctx.set_fonts(fonts);
    egui_material_icons::initialize(ctx);
}

/// The semi-bold family.
pub fn strong_family() -> FontFamily {
    FontFamily::Name(STRONG.into())
}

/// Semi-bold text.
pub fn strong(text: impl Into<String>) -> RichText {
    RichText::new(text).family(strong_family())
}
