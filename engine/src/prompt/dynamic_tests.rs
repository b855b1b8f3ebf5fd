//! Choices: which are possible, that the seed decides, that nothing malformed or circular hurts.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[derive(Default)]
struct Files(BTreeMap<&'static str, Vec<&'static str>>);

impl Wildcards for Files {
    fn values(&self, pattern: &str) -> Vec<String> {
        let values = self.0.get(pattern).into_iter().flatten();
        values.map(|value| (*value).to_owned()).collect()
    }
}

fn files() -> Files {
    Files(BTreeMap::from([
        ("colour", vec!["red", "green", "{light|dark} blue"]),
        ("round", vec!["__round__ __round__"]),
        ("heavy", vec!["1000000::gold", "tin"]),
    ]))
}

/// Everything that a text becomes within 200 seeds.
fn all(text: &str) -> BTreeSet<String> {
    (0..200)
        .map(|seed| choose(text, seed, &files()).text)
        .collect()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn every_option_comes_up_and_nothing_else() {
    assert_eq!(all("a {b|c} d"), set(&["a b d", "a c d"]));
    assert_eq!(all("{a|{b|c}}"), set(&["a", "b", "c"]));
    assert_eq!(all("{2$$a|b}"), set(&["a, b", "b, a"]));
    assert_eq!(
        all("{1-2$$ and $$a|b}"),
        set(&["a", "b", "a and b", "b and a"])
    );
    assert_eq!(all("{0::a|1::b}"), set(&["b"]));
    assert_eq!(all("{0$$a|b}x"), set(&["x"]));
    assert_eq!(all("{a|}x"), set(&["ax", "x"]));
    assert_eq!(
        all("__colour__"),
        set(&["red", "green", "light blue", "dark blue"])
    );
    assert_eq!(all("{2$$__colour__}").len(), 2 + 8);
    assert_eq!(all("__heavy__"), set(&["gold"]));
    assert_eq!(all("# {a|b}\nc # d"), set(&["c "]));
}

#[test]
fn a_variable_is_chosen_once_or_each_time() {
    assert_eq!(all("${v=!{a|b}}${v}${v}"), set(&["aa", "bb"]));
    assert_eq!(all("${v={a|b}}${v}${v}"), set(&["aa", "ab", "ba", "bb"]));
    assert_eq!(all("${none:x} ${none}"), set(&["x ${none}"]));
    assert_eq!(
        all("${c=!__colour__}${c} on ${c}"),
        set(&[
            "red on red",
            "green on green",
            "light blue on light blue",
            "dark blue on dark blue"
        ])
    );
}

#[test]
fn what_is_no_choice_stays() {
    for text in [
        "{a|b",
        "a}",
        "{{a",
        "__",
        "____",
        "__a b",
        "snake_case__",
        "${",
        "${}",
        "$x",
        "__ x __",
    ] {
        assert_eq!(all(text), set(&[text]), "{text}");
    }
    assert_eq!(all("\\{a|b\\}"), set(&["{a|b}"]));
    let chosen = choose("__none__ {a} __none__", 1, &files());
    assert_eq!(chosen.text, "__none__ a __none__");
    assert_eq!(chosen.missing, ["none"]);
}

#[test]
fn the_seed_decides() {
    let text = "{a|b|c|d} {3$$e|f|g|h} __colour__";
    assert_eq!(choose(text, 7, &files()), choose(text, 7, &files()));
    assert!(all(text).len() > 100);
}

#[test]
fn circles_and_avalanches_end() {
    let began = std::time::Instant::now();
    for hostile in [
        "__round__".to_owned(),
        "${v=${v}${v}}${v}".to_owned(),
        "{".repeat(20_000),
        "{a|".repeat(5_000) + &"}".repeat(5_000),
        "{100$$__colour__|b}".repeat(2_000),
        "${v=a}".repeat(5_000),
        "__a".repeat(20_000),
    ] {
        assert!(choose(&hostile, 1, &files()).text.len() < 2 * LONGEST);
    }
    assert!(began.elapsed().as_secs() < 10);
}
