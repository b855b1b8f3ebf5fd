//! The table of actions: commands without arguments, each with label, tooltip, shortcut, icon,
//! menu and condition. Menus, the palette, the help and the key handling walk [`ACTIONS`].

use egui::{Key, KeyboardShortcut, Modifiers};
use egui_material_icons::{MaterialIcon, icons};

use crate::studio::Studio;
use crate::text::t;

/// The commands that need no argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Submit the draft.
    Generate,
    /// Cancel the running job.
    Cancel,
    /// Cancel every job.
    CancelAll,
    /// Draw a new seed for each job, and one now.
    DiceSeed,
    /// Keep the seed, or let it go.
    LockSeed,
    /// Take over the seed of the latest picture, and keep it.
    UseLastSeed,
    /// Open a picture from a file.
    OpenPicture,
    /// Open the picture on the clipboard.
    PastePicture,
    /// Save what the canvas shows.
    SaveCanvas,
    /// Copy what the canvas shows.
    CopyCanvas,
    /// Empty the canvas.
    ClosePicture,
    /// Take the last change back.
    Undo,
    /// Do it again.
    Redo,
    /// Mask everything.
    SelectAll,
    /// Swap masked and unmasked.
    InvertMask,
    /// Unmask everything.
    ClearMask,
    /// Make a picture the mask.
    LoadMask,
    /// Save the mask.
    SaveMask,
    /// Make the shown result the picture.
    AcceptResult,
    /// Let the results go.
    DiscardResults,
    /// Show before instead of after, or the other way round.
    FlipResult,
    /// Show the next result.
    NextResult,
    /// Show the previous result.
    PreviousResult,
    /// Show the picture larger.
    ZoomIn,
    /// Show the picture smaller.
    ZoomOut,
    /// Show all of the picture.
    ZoomFit,
    /// One picture pixel on one screen pixel.
    ZoomActual,
    /// Swap width and height.
    SwapSize,
    /// Steps, guidance, sampler, schedule and size as the model wants them.
    ModelDefaults,
    /// Ask for a folder of models.
    AddModel,
    /// Show the models folder in the file manager.
    OpenModelsFolder,
    /// Look through the model folders again.
    RefreshModels,
    /// Put the cursor into the prompt.
    FocusPrompt,
    /// Put the cursor into the gallery's search field.
    FocusSearch,
    /// Show or hide the controls.
    ToggleControls,
    /// Show or hide the gallery.
    ToggleGallery,
    /// A larger interface.
    ScaleUp,
    /// A smaller interface.
    ScaleDown,
    /// The interface at 100 %.
    ScaleReset,
    /// Dark colours.
    ThemeDark,
    /// Light colours.
    ThemeLight,
    /// Colours as the system says.
    ThemeSystem,
    /// Find a command by name.
    OpenPalette,
    /// Settings.
    OpenSettings,
    /// Keys and first steps.
    OpenHelp,
    /// Version and licences.
    OpenAbout,
    /// Show the gallery's folder in the file manager.
    OpenLibraryFolder,
    /// End the program.
    Quit,
}

/// Where an action stands in the menus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Menu {
    /// Files, models, end.
    File,
    /// Picture and mask.
    Edit,
    /// The draft and its jobs.
    Generate,
    /// What is shown.
    View,
    /// Help.
    Help,
}

impl Menu {
    /// All menus in their order.
    pub const ALL: [Self; 5] = [
        Self::File,
        Self::Edit,
        Self::Generate,
        Self::View,
        Self::Help,
    ];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::File => t("menu-file"),
            Self::Edit => t("menu-edit"),
            Self::Generate => t("menu-generate"),
            Self::View => t("menu-view"),
            Self::Help => t("menu-help"),
        }
    }
}

/// All there is to know about an action.
#[derive(Clone, Copy)]
pub struct ActionInfo {
    /// Which.
    pub action: Action,
    /// Message key of the label; `<key>-tip` is the tooltip.
    pub key: &'static str,
    /// Message key of the tooltip.
    pub tip_key: &'static str,
    /// The picture beside it.
    pub icon: MaterialIcon,
    /// The keys, if any.
    pub shortcut: Option<KeyboardShortcut>,
    /// Where it stands.
    pub menu: Menu,
    /// When it makes sense.
    pub enabled: fn(&Studio) -> bool,
}

impl ActionInfo {
    /// Its label.
    pub fn label(&self) -> &'static str {
        t(self.key)
    }

    /// Its tooltip.
    pub fn tip(&self) -> &'static str {
        t(self.tip_key)
    }
}

impl Action {
    /// Its line of the table.
    pub fn info(self) -> &'static ActionInfo {
        // Each action has a line (a test walks them); the first stands in rather than a panic.
        ACTIONS
            .iter()
            .find(|info| info.action == self)
            .unwrap_or(&ACTIONS[0])
    }
}

const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

const fn ctrl(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::COMMAND, key))
}

const fn ctrl_shift(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(CTRL_SHIFT, key))
}

const fn plain(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::NONE, key))
}

fn always(_: &Studio) -> bool {
    true
}

fn has_canvas(studio: &Studio) -> bool {
    studio.document.canvas().is_some()
}

fn has_result(studio: &Studio) -> bool {
    !studio.staging.is_empty()
}

macro_rules! line {
    ($action:ident, $key:literal, $icon:ident, $shortcut:expr, $menu:ident, $enabled:expr) => {
        ActionInfo {
            action: Action::$action,
            key: concat!("action-", $key),
            tip_key: concat!("action-", $key, "-tip"),
            icon: icons::$icon.outlined(),
            shortcut: $shortcut,
            menu: Menu::$menu,
            enabled: $enabled,
        }
    };
}

/// Every action, in menu order.
#[rustfmt::skip]
pub static ACTIONS: &[ActionInfo] = &[
    line!(OpenPicture, "open-picture", ICON_FILE_OPEN, ctrl(Key::O), File, always),
    line!(SaveCanvas, "save-canvas", ICON_DOWNLOAD, ctrl(Key::S), File, Studio::has_picture),
    line!(ClosePicture, "close-picture", ICON_CANCEL_PRESENTATION, ctrl(Key::W), File, has_canvas),
    line!(AddModel, "add-model", ICON_CREATE_NEW_FOLDER, None, File, always),
    line!(OpenModelsFolder, "open-models-folder", ICON_FOLDER_OPEN, None, File, |studio| studio.models_folder().is_some()),
    line!(RefreshModels, "refresh-models", ICON_REFRESH, None, File, always),
    line!(OpenLibraryFolder, "open-library-folder", ICON_PHOTO_LIBRARY, None, File, |studio| studio.places.library_dir.is_some()),
    line!(OpenSettings, "settings", ICON_SETTINGS, ctrl(Key::Comma), File, always),
    line!(Quit, "quit", ICON_LOGOUT, ctrl(Key::Q), File, always),

    line!(Undo, "undo", ICON_UNDO, ctrl(Key::Z), Edit, |studio| studio.document.history().undo_kind().is_some()),
    line!(Redo, "redo", ICON_REDO, ctrl_shift(Key::Z), Edit, |studio| studio.document.history().redo_kind().is_some()),
    line!(CopyCanvas, "copy-canvas", ICON_CONTENT_COPY, ctrl_shift(Key::C), Edit, Studio::has_picture),
    line!(PastePicture, "paste", ICON_CONTENT_PASTE, ctrl_shift(Key::V), Edit, always),
    line!(SelectAll, "select-all", ICON_SELECT_ALL, ctrl_shift(Key::A), Edit, has_canvas),
    line!(InvertMask, "invert-mask", ICON_INVERT_COLORS, ctrl(Key::I), Edit, has_canvas),
    line!(ClearMask, "clear-mask", ICON_DESELECT, ctrl_shift(Key::D), Edit, Studio::has_mask),
    line!(LoadMask, "load-mask", ICON_UPLOAD_FILE, None, Edit, has_canvas),
    line!(SaveMask, "save-mask", ICON_SAVE, None, Edit, Studio::has_mask),
    line!(AcceptResult, "accept", ICON_CHECK, ctrl_shift(Key::Enter), Edit, has_result),
    line!(DiscardResults, "discard", ICON_CLOSE, None, Edit, has_result),
    line!(FlipResult, "flip", ICON_COMPARE, None, Edit, has_result),
    line!(NextResult, "next-result", ICON_CHEVRON_RIGHT, None, Edit, has_result),
    line!(PreviousResult, "previous-result", ICON_CHEVRON_LEFT, None, Edit, has_result),

    line!(Generate, "generate", ICON_AUTO_AWESOME, ctrl(Key::Enter), Generate, Studio::can_generate),
    line!(Cancel, "cancel", ICON_STOP, plain(Key::Escape), Generate, |studio| studio.jobs.is_busy()),
    line!(CancelAll, "cancel-all", ICON_CANCEL, ctrl_shift(Key::Backspace), Generate, |studio| studio.jobs.is_busy()),
    line!(FocusPrompt, "focus-prompt", ICON_EDIT, ctrl(Key::P), Generate, always),
    line!(DiceSeed, "dice-seed", ICON_CASINO, ctrl(Key::D), Generate, always),
    line!(LockSeed, "lock-seed", ICON_LOCK, ctrl_shift(Key::L), Generate, always),
    line!(UseLastSeed, "use-last-seed", ICON_HISTORY, ctrl(Key::L), Generate, |studio| studio.draft.seed.last.is_some()),
    line!(SwapSize, "swap-size", ICON_SWAP_HORIZ, ctrl_shift(Key::X), Generate, always),
    line!(ModelDefaults, "model-defaults", ICON_RESTART_ALT, None, Generate, |studio| studio.model().is_some()),

    line!(ZoomIn, "zoom-in", ICON_ZOOM_IN, ctrl(Key::Plus), View, Studio::shows_picture),
    line!(ZoomOut, "zoom-out", ICON_ZOOM_OUT, ctrl(Key::Minus), View, Studio::shows_picture),
    line!(ZoomFit, "zoom-fit", ICON_FIT_SCREEN, ctrl(Key::Num0), View, Studio::shows_picture),
    line!(ZoomActual, "zoom-actual", ICON_CROP_FREE, ctrl(Key::Num1), View, Studio::shows_picture),
    line!(OpenPalette, "palette", ICON_SEARCH, ctrl(Key::K), View, always),
    line!(FocusSearch, "focus-search", ICON_IMAGE_SEARCH, ctrl(Key::F), View, always),
    line!(ToggleControls, "toggle-controls", ICON_DOCK_TO_RIGHT, ctrl(Key::B), View, always),
    line!(ToggleGallery, "toggle-gallery", ICON_DOCK_TO_LEFT, ctrl(Key::G), View, always),
    line!(ScaleUp, "scale-up", ICON_TEXT_INCREASE, ctrl_shift(Key::Plus), View, always),
    line!(ScaleDown, "scale-down", ICON_TEXT_DECREASE, ctrl_shift(Key::Minus), View, always),
    line!(ScaleReset, "scale-reset", ICON_FORMAT_SIZE, None, View, always),
    line!(ThemeDark, "theme-dark", ICON_DARK_MODE, None, View, always),
    line!(ThemeLight, "theme-light", ICON_LIGHT_MODE, None, View, always),
    line!(ThemeSystem, "theme-system", ICON_CONTRAST, None, View, always),

    line!(OpenHelp, "help", ICON_KEYBOARD, plain(Key::F1), Help, always),
    line!(OpenAbout, "about", ICON_INFO, None, Help, always),
];
