//! What the user reads: messages of `assets/locales/en.ftl`, looked up by key.
//!
//! Plain messages are formatted once at first use and borrowed for the program's life, so a panel
//! may ask for them in every frame. Messages with arguments are formatted on each call.

use std::collections::HashMap;
use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

/// The English texts.
pub const ENGLISH: &str = include_str!("../../assets/locales/en.ftl");

struct Texts {
    bundle: FluentBundle<FluentResource>,
    plain: HashMap<String, &'static str>,
}

/// The message `key` without arguments. An unknown key shows itself, so that a gap is seen.
pub fn t(key: &'static str) -> &'static str {
    texts().plain.get(key).copied().unwrap_or(key)
}

/// The message `key` with arguments.
pub fn t_args<const N: usize>(key: &str, args: [(&str, FluentValue<'_>); N]) -> String {
    let texts = texts();
    let mut fluent_args = FluentArgs::with_capacity(N);
    for (name, value) in args {
        fluent_args.set(name, value);
    }
    let Some(pattern) = texts
        .bundle
        .get_message(key)
        .and_then(|message| message.value())
    else {
        return key.to_owned();
    };
    // Errors name missing arguments; the text then shows the argument's name in its place.
    let mut errors = Vec::new();
    texts
        .bundle
        .format_pattern(pattern, Some(&fluent_args), &mut errors)
        .into_owned()
}

/// Whether a message of that key exists.
pub fn has(key: &str) -> bool {
    texts().bundle.has_message(key)
}

fn texts() -> &'static Texts {
    static TEXTS: OnceLock<Texts> = OnceLock::new();
    TEXTS.get_or_init(load)
}

fn load() -> Texts {
    // A syntax error costs the entries it touches, never the program: they show their keys.
    let resource = match FluentResource::try_new(ENGLISH.to_owned()) {
        Ok(resource) => resource,
        Err((resource, _errors)) => resource,
    };
    let keys: Vec<String> = message_keys(ENGLISH).map(str::to_owned).collect();
    let mut bundle = FluentBundle::new_concurrent(vec![unic_langid::LanguageIdentifier::default()]);
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    let plain = keys
        .into_iter()
        .filter_map(|key| {
            let pattern = bundle.get_message(&key)?.value()?;
            let mut errors = Vec::new();
            let text = bundle
                .format_pattern(pattern, None, &mut errors)
                .into_owned();
            // Lives as long as the program, made once.
            Some((key, &*Box::leak(text.into_boxed_str())))
        })
        .collect();
    Texts { bundle, plain }
}

/// The keys of a Fluent file, in order.
pub fn message_keys(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let (key, _) = line.split_once('=')?;
        let key = key.trim_end();
        let is_key = key.starts_with(|first: char| first.is_ascii_alphabetic())
            && key
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
        is_key.then_some(key)
    })
}
