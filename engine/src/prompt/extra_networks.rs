//! A1111's tags: `<lora:name:weight>` and kin. They name add-ons, wherever they stand in the prompt, and
//! leave the text before anything else reads it. In a negative prompt they are words like any other, as in
//! A1111.

use std::borrow::Cow;

use super::is_word;

/// A tag as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The word before the first colon: `lora`, `lyco`, `hypernet`…
    pub kind: String,
    /// What follows, split at colons.
    pub items: Vec<String>,
}

/// An add-on that a tag names, with its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedAddOn {
    /// File name without ending, or alias.
    pub name: String,
    /// Weight in the denoising network.
    pub unet: f64,
    /// Weight in the text encoders.
    pub text: f64,
}

/// The text without its tags, and the tags. `<word:anything but >>` is a tag; everything else stays.
pub fn take(text: &str) -> (Cow<'_, str>, Vec<Tag>) {
    let mut tags = Vec::new();
    let mut kept = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices('<') {
        let Some((tag, length)) = (at >= from).then(|| read(&text[at..])).flatten() else {
            continue;
        };
        kept.push_str(&text[from..at]);
        from = at + length;
        tags.push(tag);
    }
    if tags.is_empty() {
        return (Cow::Borrowed(text), tags);
    }
    kept.push_str(&text[from..]);
    (Cow::Owned(kept), tags)
}

/// A tag at the text's beginning, and its length in bytes.
fn read(text: &str) -> Option<(Tag, usize)> {
    let inside = text.strip_prefix('<')?;
    let end = inside.find('>')?;
    let (kind, items) = inside[..end].split_once(':')?;
    if kind.is_empty() || items.is_empty() || !kind.chars().all(is_word) {
        return None;
    }
    let tag = Tag {
        kind: kind.to_owned(),
        items: items.split(':').map(str::to_owned).collect(),
    };
    Some((tag, end + 2))
}

impl Tag {
    /// Whether it names a LoRA or one of its kin.
    pub fn names_lora(&self) -> bool {
        matches!(self.kind.as_str(), "lora" | "lyco")
    }

    /// Name and weights: `name:both`, `name:text:unet`, or by name `te=` and `unet=`, as A1111 reads
    /// them; 1 where nothing is said.
    ///
    /// # Errors
    /// What is wrong with a weight, for people.
    pub fn add_on(&self) -> Result<NamedAddOn, String> {
        let mut positional = Vec::new();
        let mut named = Vec::new();
        for item in &self.items {
            match item.split('=').collect::<Vec<_>>().as_slice() {
                [key, value] => named.push((*key, *value)),
                _ => positional.push(item.as_str()),
            }
        }
        let number = |text: &str| {
            let number = text.trim().parse::<f64>().ok();
            let number = number.filter(|number| number.is_finite());
            number.ok_or_else(|| format!("“{text}” in {self} is no weight: it is not applied"))
        };
        let weight = |at: usize, key: &str, otherwise: f64| {
            let by_name = named.iter().rev().find(|(name, _)| *name == key);
            let by_place = positional.get(at).copied();
            let written = by_name.map(|(_, value)| *value).or(by_place);
            written.map_or(Ok(otherwise), number)
        };
        if let Some((_, rank)) = named.iter().find(|(name, _)| *name == "dyn") {
            return Err(format!(
                "a rank of its own ({rank}) has no counterpart here: {self} is not applied"
            ));
        }
        let text = weight(1, "te", 1.0)?;
        let unet = weight(2, "unet", text)?;
        Ok(NamedAddOn {
            name: positional.first().copied().unwrap_or_default().to_owned(),
            unet,
            text,
        })
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{}:{}>", self.kind, self.items.join(":"))
    }
}

impl std::fmt::Display for NamedAddOn {
    /// As a tag.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, unet, text } = self;
        if unet == text {
            write!(f, "<lora:{name}:{unet}>")
        } else {
            write!(f, "<lora:{name}:{text}:{unet}>")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_leave_the_text() {
        for (text, want, count) in [
            ("a cat", "a cat", 0),
            ("a <lora:b:1> cat", "a  cat", 1),
            ("<lora:a><lyco:b:.5>x", "x", 2),
            ("a < b: c > d <:x> <x:>", "a < b: c > d <:x> <x:>", 0),
            ("<<lora:x:1>", "<", 1),
            ("<lora:open", "<lora:open", 0),
            ("<né_1:ü:2>", "", 1),
        ] {
            let (kept, tags) = take(text);
            assert_eq!((kept.as_ref(), tags.len()), (want, count), "{text:?}");
        }
    }

    #[test]
    fn weights_are_read_as_a1111_reads_them() {
        let read = |text: &str| {
            take(text).1[0]
                .add_on()
                .map(|add_on| (add_on.text, add_on.unet))
        };
        assert_eq!(read("<lora:a>"), Ok((1.0, 1.0)));
        assert_eq!(read("<lora:a:0.5>"), Ok((0.5, 0.5)));
        assert_eq!(read("<lora:a: -.5 :2>"), Ok((-0.5, 2.0)));
        assert_eq!(read("<lora:a:te=0.3:unet=0.7>"), Ok((0.3, 0.7)));
        assert_eq!(read("<lora:a:unet=0.7>"), Ok((1.0, 0.7)));
        // The text encoders' weight counts for both where it is the only one.
        assert_eq!(read("<lora:a:te=0.3>"), Ok((0.3, 0.3)));
        assert_eq!(read("<lora:a:0.5:unet=2>"), Ok((0.5, 2.0)));
        assert!(read("<lora:a:much>").is_err());
        assert!(read("<lora:a:inf>").is_err());
        assert!(read("<lora:a:1:dyn=4>").is_err());
        let both = NamedAddOn {
            name: "x y".to_owned(),
            unet: 0.8,
            text: 0.5,
        };
        let tag = &take(&both.to_string()).1[0];
        assert_eq!(tag.add_on(), Ok(both));
    }
}
