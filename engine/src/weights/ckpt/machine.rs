//! The pickle machine (Python's `pickletools` documents its opcodes). Values lie in an arena and name
//! each other by index, so that copying one is copying a number and dropping all is dropping a list:
//! neither nesting nor a memo can make it deep or large. Nothing it builds has behaviour.

use std::collections::HashMap;

use super::values::{Built, Fault, Ref, Value, text_of};

/// Opcodes in one pickle; the largest published checkpoints, with optimizer states, need a third.
const OPCODE_LIMIT: usize = 500_000;
/// Levels of values in values.
const DEPTH_LIMIT: u8 = 64;

/// Runs the pickle at the start of `bytes`.
///
/// # Errors
/// The first thing that is not allowed, malformed or beyond a limit.
pub(super) fn run(bytes: &[u8]) -> Result<Built<'_>, Fault> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: vec![
            Value::Nothing,
            Value::Flag(false),
            Value::Flag(true),
            Value::Opaque,
        ],
        depths: vec![0; 4],
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        inert: Vec::new(),
    };
    for _ in 0..OPCODE_LIMIT {
        let start = machine.at;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => {
                return Ok(Built {
                    bytes,
                    values: machine.values,
                    root,
                    end: machine.at,
                    inert: machine.inert,
                });
            }
            Err(what) => return Err(Fault { at: start, what }),
        }
    }
    let what = format!("more than {OPCODE_LIMIT} instructions");
    Err(Fault {
        at: machine.at,
        what,
    })
}

pub(super) const NOTHING: Ref = 0;
pub(super) const FALSE: Ref = 1;
pub(super) const TRUE: Ref = 2;
pub(super) const OPAQUE: Ref = 3;

/// What an instruction gives, or why it is not allowed.
pub(super) type Step<T> = Result<T, String>;

/// The machine's state.
pub(super) struct Machine<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) values: Vec<Value>,
    depths: Vec<u8>,
    pub(super) stack: Vec<Ref>,
    marks: Vec<usize>,
    memo: HashMap<u32, Ref>,
    pub(super) inert: Vec<String>,
}

impl<'a> Machine<'a> {
    /// One instruction; the root once the pickle ends.
    fn step(&mut self) -> Step<Option<Ref>> {
        let opcode = self.take(1)?[0];
        match opcode {
            0x80 => {
                let version = self.take(1)?[0];
                if version > 5 {
                    return Err(format!("pickle protocol {version}"));
                }
            }
            0x95 => {
                self.take(8)?; // a frame's length
            }
            b'.' => return Ok(Some(self.pop()?)),
            b'(' | b'0' | b'1' | b'2' => self.shuffle(opcode)?,
            b'q' | b'r' | b'p' | 0x94 | b'h' | b'j' | b'g' => self.memory(opcode)?,
            b'N' | 0x88 | 0x89 | b'K' | b'M' | b'J' | 0x8a | 0x8b | b'I' | b'L' | b'G' | b'F' => {
                self.number(opcode)?;
            }
            b'X' | b'T' | b'B' | 0x8c | b'U' | b'C' | 0x8d | 0x8e | 0x96 | b'V' | b'S' => {
                self.text(opcode)?;
            }
            b')' | 0x85..=0x87 | b't' | b']' | b'l' | 0x8f | 0x91 | b'}' | b'd' => {
                self.compound(opcode)?;
            }
            b'a' | b'e' | 0x90 | b's' | b'u' => self.fill(opcode)?,
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'i' | b'o' | b'b' | b'Q' => self.object(opcode)?,
            other => return Err(format!("instruction {other:#04x} is not allowed")),
        }
        Ok(None)
    }

    /// Marks and the stack.
    fn shuffle(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            b'(' => self.marks.push(self.stack.len()),
            // A pop right above a mark takes the mark.
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_to_mark()?;
            }
            _ => {
                let top = self.top()?;
                self.stack.push(top);
            }
        }
        Ok(())
    }

    /// The memo: values by number.
    fn memory(&mut self, opcode: u8) -> Step<()> {
        let index = match opcode {
            b'q' | b'h' => self.take(1)?[0].into(),
            b'r' | b'j' => self.u32()?,
            0x94 => self.memo.len() as u32,
            _ => self.decimal()?,
        };
        if matches!(opcode, b'h' | b'j' | b'g') {
            let known = self.memo.get(&index).copied();
            self.stack
                .push(known.ok_or_else(|| format!("nothing was remembered as {index}"))?);
        } else {
            let top = self.top()?;
            self.memo.insert(index, top);
        }
        Ok(())
    }

    /// Values of values.
    fn compound(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            b')' => self.push(Value::Tuple(Vec::new()), 0),
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0..opcode - 0x84 {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push_of(items, Value::Tuple)
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_of(items, Value::Tuple)
            }
            b']' | 0x8f => self.push(Value::List(Vec::new()), 0),
            b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push_of(items, Value::List)
            }
            b'}' => self.push(Value::Dict(Vec::new()), 0),
            _ => {
                let items = self.pop_to_mark()?;
                even(&items)?;
                self.push_of(items, Value::Dict)
            }
        }
    }

    /// Items and entries for the value on top.
    fn fill(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item], false)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend(vec![key, value], true)
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                even(&items)?;
                self.extend(items, true)
            }
            _ => {
                let items = self.pop_to_mark()?;
                self.extend(items, false)
            }
        }
    }

    pub(super) fn take(&mut self, len: usize) -> Step<&'a [u8]> {
        let end = self
            .at
            .checked_add(len)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            format!(
                "{len} bytes are announced, {} are left",
                self.bytes.len() - self.at
            )
        })?;
        let piece = &self.bytes[self.at..end];
        self.at = end;
        Ok(piece)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let piece = self.take(N)?;
        piece
            .try_into()
            .map_err(|_length| "a number is cut short".to_owned())
    }

    pub(super) fn u32(&mut self) -> Step<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// The text up to the end of the line, without it.
    pub(super) fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(len.ok_or("a line without an end")?)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_bytes| "a line that is no text".to_owned())
    }

    pub(super) fn text_at(&self, at: Ref) -> Option<&'a str> {
        text_of(self.bytes, &self.values[at as usize])
    }

    pub(super) fn top(&self) -> Step<Ref> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.get(bottom..).and_then(<[Ref]>::last);
        top.copied()
            .ok_or_else(|| "nothing is left on the stack".to_owned())
    }

    pub(super) fn pop(&mut self) -> Step<Ref> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    pub(super) fn pop_to_mark(&mut self) -> Step<Vec<Ref>> {
        let mark = self.marks.pop().ok_or("no mark was set")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    pub(super) fn push(&mut self, value: Value, depth: u8) -> Step<()> {
        let at = self.add(value, depth)?;
        self.stack.push(at);
        Ok(())
    }

    pub(super) fn add(&mut self, value: Value, depth: u8) -> Step<Ref> {
        if depth > DEPTH_LIMIT {
            return Err(format!("values nested deeper than {DEPTH_LIMIT}"));
        }
        self.values.push(value);
        self.depths.push(depth);
        Ok((self.values.len() - 1) as Ref)
    }

    /// One more than the deepest of these.
    fn depth_around(&self, items: &[Ref]) -> u8 {
        let depths = items.iter().map(|item| self.depths[*item as usize]);
        depths.max().map_or(0, |deepest| deepest.saturating_add(1))
    }

    fn push_of(&mut self, items: Vec<Ref>, value: fn(Vec<Ref>) -> Value) -> Step<()> {
        let depth = self.depth_around(&items);
        self.push(value(items), depth)
    }

    /// Adds to the list or dictionary on top.
    fn extend(&mut self, items: Vec<Ref>, pairs: bool) -> Step<()> {
        let top = self.top()?;
        let depth = self.depth_around(&items).max(self.depths[top as usize]);
        if depth > DEPTH_LIMIT {
            return Err(format!("values nested deeper than {DEPTH_LIMIT}"));
        }
        match (&mut self.values[top as usize], pairs) {
            (Value::List(list), false) | (Value::Dict(list), true) => list.extend(items),
            (Value::Opaque, _) => return Ok(()),
            (_, true) => return Err("an entry for what is no dictionary".to_owned()),
            (_, false) => return Err("an item for what is no list".to_owned()),
        }
        self.depths[top as usize] = depth;
        Ok(())
    }
}

fn even(items: &[Ref]) -> Step<()> {
    if items.len().is_multiple_of(2) {
        Ok(())
    } else {
        Err("a key without a value".to_owned())
    }
}
