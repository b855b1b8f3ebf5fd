//! Numbers and texts in a pickle. Texts stay where they are: a value names their place.

use super::machine::{FALSE, Machine, NOTHING, OPAQUE, Step, TRUE};
use super::values::Value;

/// Bytes of a number written in decimal or as a long integer.
const NUMBER_LIMIT_BYTES: usize = 64;

impl Machine<'_> {
    pub(super) fn number(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            b'N' => self.stack.push(NOTHING),
            0x88 => self.stack.push(TRUE),
            0x89 => self.stack.push(FALSE),
            b'K' => {
                let number = self.take(1)?[0];
                self.push(Value::Int(number.into()), 0)?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()), 0)?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()), 0)?;
            }
            0x8a => {
                let len = self.take(1)?[0].into();
                self.long(len)?;
            }
            0x8b => {
                let len = self.u32()? as usize;
                self.long(len)?;
            }
            b'I' | b'L' => self.decimal_value()?,
            // Fractions decide nothing here.
            b'G' => {
                self.take(8)?;
                self.stack.push(OPAQUE);
            }
            _ => {
                self.line()?;
                self.stack.push(OPAQUE);
            }
        }
        Ok(())
    }

    pub(super) fn decimal(&mut self) -> Step<u32> {
        let line = self.line()?;
        line.parse()
            .map_err(|_error: std::num::ParseIntError| "a number that is none".to_owned())
    }

    fn decimal_value(&mut self) -> Step<()> {
        let line = self.line()?.trim_end_matches('L');
        match line {
            "00" => self.stack.push(FALSE),
            "01" => self.stack.push(TRUE),
            _ if line.len() > NUMBER_LIMIT_BYTES => {
                return Err(format!("a number of {} digits", line.len()));
            }
            _ => self.push(line.parse().map_or(Value::Opaque, Value::Int), 0)?,
        }
        Ok(())
    }

    /// A little-endian integer in two's complement, of any length. What does not fit 64 bits is
    /// nothing that counts here.
    fn long(&mut self, len: usize) -> Step<()> {
        let piece = self.take(len)?;
        if len > NUMBER_LIMIT_BYTES {
            return Err(format!("a number of {len} bytes"));
        }
        let value = match piece.last() {
            None => Value::Int(0),
            Some(_) if len > 8 => Value::Opaque,
            Some(last) => {
                let filler = if last & 0x80 == 0 { 0 } else { 0xff };
                let mut wide = [filler; 8];
                wide[..len].copy_from_slice(piece);
                Value::Int(i64::from_le_bytes(wide))
            }
        };
        self.push(value, 0)
    }

    pub(super) fn text(&mut self, opcode: u8) -> Step<()> {
        let len = match opcode {
            b'X' | b'T' | b'B' => self.u32()? as usize,
            0x8c | b'U' | b'C' => self.take(1)?[0].into(),
            0x8d | 0x8e | 0x96 => {
                let len = u64::from_le_bytes(self.array()?);
                usize::try_from(len).map_err(|_large| "a text of no end")?
            }
            _ => return self.text_line(),
        };
        let from = self.at;
        self.take(len)?;
        self.push(Value::Text(from as u32, len as u32), 0)
    }

    fn text_line(&mut self) -> Step<()> {
        let from = self.at;
        let line = self.line()?;
        let quoted = line.starts_with(['\'', '"']) && line.len() > 1;
        let (from, len) = if quoted {
            (from + 1, line.len() - 2)
        } else {
            (from, line.len())
        };
        self.push(Value::Text(from as u32, len as u32), 0)
    }
}
