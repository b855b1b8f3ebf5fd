//! What the README tells people to type exists.

use crate::tree;

/// Commands in the README's code blocks, one a line, without prompts and comments.
fn commands(readme: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in readme.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside || line.starts_with("    ") {
            let line = line.trim().trim_start_matches("$ ");
            let line = line.split(" #").next().unwrap_or("").trim();
            if !line.is_empty() && !line.starts_with('#') {
                found.push(line.to_owned());
            }
        }
    }
    found
}

/// Whether a command names something of this repository that is not there.
fn missing(command: &str, exists: &dyn Fn(&str) -> bool) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let first = words.first()?;
    if let Some(script) = first.strip_prefix("./")
        && !script.starts_with("target/")
        && !exists(script)
    {
        return Some(script.to_owned());
    }
    let arguments = if *first == "pentimento" || first.ends_with("/pentimento") {
        &words[1..]
    } else if *first == "cargo" && words.get(1) == Some(&"run") {
        let split = words.iter().position(|word| *word == "--")?;
        &words[split + 1..]
    } else {
        return None;
    };
    let sub = arguments.first()?;
    let is_word = sub.chars().all(|c| c.is_ascii_lowercase());
    let file = format!("app/src/cli/{sub}.rs");
    (is_word && !exists(&file)).then_some(file)
}

#[test]
fn commands_of_the_readme_exist() {
    let exists = |path: &str| path == "tests/run" || path == "app/src/cli/render.rs";
    let example = "```\n./tests/run\n./none\n$ pentimento render --x # y\npentimento gone\ncargo run --release -- gone\n```\n";
    let commands_found = commands(example);
    let wrong: Vec<String> = commands_found
        .iter()
        .filter_map(|c| missing(c, &exists))
        .collect();
    assert_eq!(
        wrong,
        ["none", "app/src/cli/gone.rs", "app/src/cli/gone.rs"]
    );

    let root = tree::root();
    let Ok(readme) = std::fs::read_to_string(root.join("README.md")) else {
        panic!("README.md is missing");
    };
    let found = commands(&readme);
    assert!(!found.is_empty(), "the README shows no command");
    let wrong: Vec<String> = found
        .iter()
        .filter_map(|command| missing(command, &|path| root.join(path).exists()))
        .collect();
    tree::expect_none("the README names what is not there", &wrong);
}

#[test]
fn pictures_and_files_the_readme_links_exist() {
    let root = tree::root();
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md is there");
    let mut wrong = Vec::new();
    for part in readme.split("](").skip(1) {
        let target = part.split([')', '#', ' ']).next().unwrap_or("");
        if !target.is_empty() && !target.contains("://") && !root.join(target).exists() {
            wrong.push(target.to_owned());
        }
    }
    tree::expect_none("links to what is not there", &wrong);
}
