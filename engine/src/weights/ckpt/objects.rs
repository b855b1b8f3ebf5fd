//! Names, calls and storages in a pickle: every call has one of a few known meanings, or none.

use super::globals::{self, Global};
use super::machine::{Machine, OPAQUE, Step};
use super::values::{Ref, Storage, Tensor, Value};
use crate::weights::element::ElementType;

impl Machine<'_> {
    pub(super) fn object(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (self.text_at(module), self.text_at(name)) else {
                    return Err("a name that is no text".to_owned());
                };
                self.global(module, name)
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments)
            }
            0x92 => {
                let (_named, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(class, arguments)
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                self.pop_to_mark()?;
                self.global(module, name)?;
                self.instance()
            }
            b'o' => {
                let items = self.pop_to_mark()?;
                self.stack
                    .push(*items.first().ok_or("an object without a class")?);
                self.instance()
            }
            // The state of an object: what follows uses the object, never its state.
            b'b' => {
                self.pop()?;
                self.top()?;
                Ok(())
            }
            _ => {
                let id = self.pop()?;
                self.storage(id)
            }
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Step<()> {
        let Some(global) = globals::find(module, name) else {
            let shown = |text: &str| text.chars().take(80).collect::<String>();
            return Err(format!(
                "it asks for Python's “{}.{}”, which no model needs",
                shown(module),
                shown(name)
            ));
        };
        if global == Global::Inert && self.inert.len() < 64 {
            let full = format!("{module}.{name}");
            if !self.inert.contains(&full) {
                self.inert.push(full);
            }
        }
        self.push(Value::Global(global), 0)
    }

    /// An object of the old kind, from its class on top.
    fn instance(&mut self) -> Step<()> {
        let class = self.pop()?;
        let nothing = self.add(Value::Tuple(Vec::new()), 0)?;
        self.call(class, nothing)
    }

    fn call(&mut self, function: Ref, arguments: Ref) -> Step<()> {
        let Value::Tuple(arguments) = &self.values[arguments as usize] else {
            return Err("a call without a list of arguments".to_owned());
        };
        // The first few are all that is ever looked at; a copy of all could be made to cost much.
        let arguments: Vec<Ref> = arguments.iter().take(8).copied().collect();
        let argument = |index: usize| arguments.get(index).copied();
        match self.values[function as usize] {
            Value::Global(Global::Dictionary) => self.push(Value::Dict(Vec::new()), 0),
            Value::Global(Global::RebuildTensor) => self.tensor(&arguments, None),
            Value::Global(Global::RebuildTyped) => {
                let element = argument(6).map(|at| &self.values[at as usize]);
                let Some(&Value::Global(Global::Element(element))) = element else {
                    return Err("a tensor of an unknown element type".to_owned());
                };
                self.tensor(&arguments, Some(element))
            }
            Value::Global(Global::RebuildParameter) => {
                let inner = argument(0).ok_or("a parameter without a tensor")?;
                self.stack.push(inner);
                Ok(())
            }
            Value::Global(Global::RebuildFromType) => {
                let (Some(inner), Some(arguments)) = (argument(0), argument(2)) else {
                    return Err("a tensor's subclass without its parts".to_owned());
                };
                // One level only: what would call itself is refused.
                match self.values[inner as usize] {
                    Value::Global(Global::RebuildTensor | Global::RebuildTyped) => {
                        self.call(inner, arguments)
                    }
                    _ => Err("a tensor's subclass of an unknown kind".to_owned()),
                }
            }
            Value::Global(_) | Value::Opaque => {
                self.stack.push(OPAQUE);
                Ok(())
            }
            _ => Err("a call of what is no function".to_owned()),
        }
    }

    fn tensor(&mut self, arguments: &[Ref], element: Option<ElementType>) -> Step<()> {
        let &[storage, offset, shape, strides, ..] = arguments else {
            return Err(format!("a tensor described by {} values", arguments.len()));
        };
        let (Value::Storage(storage), Value::Int(offset)) = (
            &self.values[storage as usize],
            &self.values[offset as usize],
        ) else {
            return Err("a tensor without a storage".to_owned());
        };
        let tensor = Tensor {
            storage: **storage,
            element,
            offset: *offset,
            shape,
            strides,
        };
        self.push(Value::Tensor(Box::new(tensor)), 0)
    }

    /// A persistent id: `("storage", class, key, device, count)`.
    fn storage(&mut self, id: Ref) -> Step<()> {
        let Value::Tuple(parts) = &self.values[id as usize] else {
            return Err("a storage without a description".to_owned());
        };
        let &[kind, class, key, _device, count, ..] = parts.as_slice() else {
            return Err(format!("a storage described by {} values", parts.len()));
        };
        let element = match self.values[class as usize] {
            Value::Global(Global::Element(element)) => Some(element),
            Value::Global(Global::Bytes) => None,
            _ => return Err("a storage of an unknown class".to_owned()),
        };
        let count = match self.values[count as usize] {
            Value::Int(count) => u64::try_from(count).ok(),
            _ => None,
        };
        let (Some("storage"), Some(_), Some(count)) =
            (self.text_at(kind), self.text_at(key), count)
        else {
            return Err("a storage's description is malformed".to_owned());
        };
        let storage = Storage {
            element,
            key,
            count,
        };
        self.push(Value::Storage(Box::new(storage)), 0)
    }
}
