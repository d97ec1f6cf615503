//! The stack machine of pickle protocols 2 to 5, as far as checkpoints use it.
//! Operations: Python's Lib/pickletools.py.

use std::collections::HashMap;

use super::globals::known;
use super::{Fault, Globals, Limits, Pickle, PickleError, Value, ValueId};

/// The class of objects that are not known.
const UNKNOWN: &str = "an unknown object";
/// Longest part of a refused global's name that is shown.
const SHOWN: usize = 120;
/// Integers from 0 up to this have one value each; vocabularies of models are smaller.
const SHARED_INTS: usize = 1 << 18;

pub(super) fn run(
    bytes: &[u8],
    limits: Limits,
    globals: Globals,
) -> Result<Pickle<'_>, PickleError> {
    let mut machine = Machine {
        bytes,
        limits,
        globals,
        position: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        ints: Vec::new(),
        references: 0,
    };
    loop {
        let position = machine.position;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => return Ok(Pickle { values: machine.values, root }),
            Err(fault) => return Err(PickleError { position, fault }),
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    limits: Limits,
    globals: Globals,
    position: usize,
    values: Vec<Value<'a>>,
    stack: Vec<ValueId>,
    /// Heights of the stack at MARK operations.
    marks: Vec<usize>,
    memo: HashMap<u32, ValueId>,
    /// The values of small integers.
    ints: Vec<Option<ValueId>>,
    /// Number of elements in all containers.
    references: usize,
}

impl<'a> Machine<'a> {
    /// Runs one operation; returns the root value at STOP.
    fn step(&mut self) -> Result<Option<ValueId>, Fault> {
        match self.byte()? {
            0x80 => match self.byte()? {
                2..=5 => {}
                _ => return Err(Fault::Malformed("its protocol is not 2, 3, 4 or 5")),
            },
            0x95 => {
                self.take(8)?; // FRAME: only a hint for buffering
            }
            b'.' => return self.pop().map(Some),
            b'(' => {
                self.limit(self.marks.len())?;
                self.marks.push(self.stack.len());
            }
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => self.int(1)?,
            b'M' => self.int(2)?,
            b'J' => {
                let int = i32::from_le_bytes(self.array()?);
                self.push_int(i64::from(int))?;
            }
            0x8a => {
                let size = self.unsigned(1)?;
                self.long(size)?;
            }
            0x8b => {
                let size = self.unsigned(4)?;
                self.long(size)?;
            }
            b'G' => {
                let float = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(float))?;
            }
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.raw(1)?,
            b'B' => self.raw(4)?,
            // A bytearray is read as bytes: that of a NumPy array in protocol 5.
            0x8e | 0x96 => self.raw(8)?,
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b']' | 0x8f => self.push(Value::List(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let elements = self.above_mark()?;
                self.push(Value::Tuple(elements))?;
            }
            b'a' => {
                let element = self.pop()?;
                self.append(vec![element])?;
            }
            b'e' | 0x90 => {
                let elements = self.above_mark()?;
                self.append(elements)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.above_mark()?;
                self.set_items(&items)?;
            }
            b'q' => self.memoize(1)?,
            b'r' => self.memoize(4)?,
            0x94 => {
                let index = self.memo.len() as u32;
                self.remember(index)?;
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.global(module, name)?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))?;
            }
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            other => return Err(Fault::UnknownOpcode(other)),
        }
        Ok(None)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| Fault::Truncated)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let bytes = self.bytes.get(self.position..).and_then(|rest| rest.get(..count));
        let bytes = bytes.ok_or(Fault::Truncated)?;
        self.position += count;
        Ok(bytes)
    }

    /// A little-endian number of 1 to 8 bytes.
    fn unsigned(&mut self, width: usize) -> Result<usize, Fault> {
        let bytes = self.take(width)?;
        let number = bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        usize::try_from(number).map_err(|_| Fault::Truncated)
    }

    /// A text up to a line break, which is consumed.
    fn line(&mut self) -> Result<&'a str, Fault> {
        let rest = &self.bytes[self.position..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(Fault::Truncated)?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| Fault::Malformed("a name is not UTF-8"))
    }

    fn limit(&self, count: usize) -> Result<(), Fault> {
        if count < self.limits.values { Ok(()) } else { Err(Fault::TooLarge("16 million values")) }
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), Fault> {
        let id = self.add(value)?;
        self.push_id(id)
    }

    fn add(&mut self, value: Value<'a>) -> Result<ValueId, Fault> {
        self.limit(self.values.len())?;
        let id = ValueId(self.values.len() as u32);
        self.values.push(value);
        Ok(id)
    }

    /// Pushes an integer. Those of token ids are kept once: a dump of rollouts has millions.
    fn push_int(&mut self, int: i64) -> Result<(), Fault> {
        let Some(at) = usize::try_from(int).ok().filter(|at| *at < SHARED_INTS) else {
            return self.push(Value::Int(int));
        };
        if at >= self.ints.len() {
            self.ints.resize(at + 1, None);
        }
        let id = match self.ints[at] {
            Some(id) => id,
            None => self.add(Value::Int(int))?,
        };
        self.ints[at] = Some(id);
        self.push_id(id)
    }

    fn push_id(&mut self, id: ValueId) -> Result<(), Fault> {
        self.limit(self.stack.len())?;
        self.stack.push(id);
        Ok(())
    }

    /// Removes the top of the stack, but nothing below the last mark.
    fn pop(&mut self) -> Result<ValueId, Fault> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let top = if self.stack.len() > bottom { self.stack.pop() } else { None };
        top.ok_or(Fault::Malformed("its stack is empty"))
    }

    fn pop_text(&mut self) -> Result<&'a str, Fault> {
        let id = self.pop()?;
        match self.value(id) {
            Value::Text(text) => Ok(text),
            _ => Err(Fault::Malformed("the name of a global is not a string")),
        }
    }

    fn top(&mut self) -> Result<&mut Value<'a>, Fault> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(&mut self.values[id.0 as usize])
    }

    fn value(&self, id: ValueId) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    fn int(&mut self, width: usize) -> Result<(), Fault> {
        let int = self.unsigned(width)?;
        self.push_int(int as i64)
    }

    /// A little-endian number in two's complement.
    fn long(&mut self, size: usize) -> Result<(), Fault> {
        if size > 8 {
            return Err(Fault::HugeInteger(size));
        }
        let bytes = self.take(size)?;
        let is_negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
        let mut extended = [if is_negative { 0xff } else { 0 }; 8];
        extended[..size].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(extended)))
    }

    fn text(&mut self, width: usize) -> Result<(), Fault> {
        let size = self.unsigned(width)?;
        let text = std::str::from_utf8(self.take(size)?);
        self.push(Value::Text(text.map_err(|_| Fault::Malformed("a string is not UTF-8"))?))
    }

    fn raw(&mut self, width: usize) -> Result<(), Fault> {
        let size = self.unsigned(width)?;
        let bytes = self.take(size)?;
        self.push(Value::Bytes(bytes))
    }

    fn tuple(&mut self, count: usize) -> Result<(), Fault> {
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(self.pop()?);
        }
        elements.reverse();
        self.count_references(count)?;
        self.push(Value::Tuple(elements))
    }

    fn above_mark(&mut self) -> Result<Vec<ValueId>, Fault> {
        let mark = self.marks.pop().ok_or(Fault::Malformed("it has no mark on its stack"))?;
        let elements = self.stack.split_off(mark);
        self.count_references(elements.len())?;
        Ok(elements)
    }

    fn count_references(&mut self, count: usize) -> Result<(), Fault> {
        self.references += count;
        if self.references > self.limits.elements {
            return Err(Fault::TooLarge("64 million elements"));
        }
        Ok(())
    }

    fn append(&mut self, elements: Vec<ValueId>) -> Result<(), Fault> {
        self.count_references(elements.len())?;
        match self.top()? {
            Value::List(list) => list.extend(elements),
            _ => return Err(Fault::Malformed("it appends to a value that is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[ValueId]) -> Result<(), Fault> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Fault::Malformed("a dictionary has a key without a value"));
        }
        self.count_references(items.len())?;
        match self.top()? {
            Value::Dict(dict) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err(Fault::Malformed("it sets items of a value that is not a dictionary")),
        }
        Ok(())
    }

    fn memoize(&mut self, width: usize) -> Result<(), Fault> {
        let index = self.unsigned(width)? as u32;
        self.remember(index)
    }

    fn remember(&mut self, index: u32) -> Result<(), Fault> {
        self.limit(self.memo.len())?;
        let id = self.pop()?;
        self.stack.push(id);
        self.memo.insert(index, id);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<(), Fault> {
        let index = self.unsigned(width)? as u32;
        let id = self.memo.get(&index).copied();
        self.push_id(id.ok_or(Fault::Malformed("it recalls a value that it has not stored"))?)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), Fault> {
        match known(module, name) {
            Some(known) => self.push(Value::Global(known)),
            None if self.globals == Globals::Any => self.push(Value::Global(UNKNOWN)),
            None => {
                let shown: String = format!("{module}.{name}").chars().take(SHOWN).collect();
                Err(Fault::RefusedGlobal(shown.escape_debug().to_string()))
            }
        }
    }

    /// Records a call of a global with a tuple of arguments. Nothing is called.
    fn call(&mut self) -> Result<(), Fault> {
        let (arguments, class) = (self.pop()?, self.pop()?);
        let (Value::Global(class), Value::Tuple(elements)) =
            (self.value(class), self.value(arguments))
        else {
            if self.globals == Globals::Any {
                return self.push(Value::Object { class: UNKNOWN, arguments, state: None });
            }
            return Err(Fault::RefusedCall);
        };
        let class = *class;
        match (class, elements.as_slice()) {
            ("OrderedDict", []) => self.push(Value::Dict(Vec::new())),
            ("OrderedDict", _) => Err(Fault::Malformed("an OrderedDict is created from a value")),
            // A size is a tuple, a set is made from a list.
            ("Size" | "set", [elements]) => self.push_id(*elements),
            _ => self.push(Value::Object { class, arguments, state: None }),
        }
    }

    fn build(&mut self) -> Result<(), Fault> {
        let new = self.pop()?;
        match self.top()? {
            Value::Object { state, .. } => *state = Some(new),
            // Attributes of an OrderedDict: torch stores the versions of modules there (`_metadata`).
            Value::Dict(_) => {}
            _ => {
                return Err(Fault::Malformed("it sets the state of a value that is not an object"));
            }
        }
        Ok(())
    }
}
