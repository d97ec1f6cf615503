//! Protocol Buffers without a schema: reads the fields of a message, and builds messages.
//!
//! A message is a sequence of fields: a tag (`number << 3 | type`) and a value. Type 0 is a varint
//! (seven bits per byte, lowest first, the top bit set on all bytes but the last), 1 and 5 are eight
//! and four bytes, little-endian, 2 is a length and that many bytes. Written by hand: about two dozen
//! fields are used, and generated code would have hundreds. Format:
//! <https://protobuf.dev/programming-guides/encoding/>

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wire<'a> {
    /// An integer, a boolean or an enumeration.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// A message, a string or packed numbers.
    Bytes(&'a [u8]),
}

/// The rest of the message is not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// The fields of a message, in order.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    #[inline]
    fn field(&mut self) -> Option<(u32, Wire<'a>)> {
        let (tag, rest) = varint(self.rest)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        let (wire, rest) = match tag & 7 {
            0 => varint(rest).map(|(value, rest)| (Wire::Varint(value), rest))?,
            1 => {
                rest.split_first_chunk().map(|(b, r)| (Wire::Fixed64(u64::from_le_bytes(*b)), r))?
            }
            2 => {
                let (length, rest) = varint(rest)?;
                let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Wire::Bytes(bytes), rest)
            }
            5 => {
                rest.split_first_chunk().map(|(b, r)| (Wire::Fixed32(u32::from_le_bytes(*b)), r))?
            }
            _ => return None, // groups, which are obsolete
        };
        self.rest = rest;
        Some((number, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

/// The varint at the start of `bytes`, and the bytes after it.
#[inline]
pub fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [byte @ 0..0x80, rest @ ..] => Some((u64::from(*byte), rest)),
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

/// The integer that a `sint64` encodes.
pub fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A message under construction; its fields appear in the order of the calls.
#[derive(Debug, Clone, Default)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// An empty message.
    pub fn new() -> Message {
        Message::default()
    }

    /// Adds an `int32` or `int64`. Like proto3, omits zero, the default value.
    pub fn integer(mut self, field: u32, value: i64) -> Message {
        if value != 0 {
            self.tag(field, 0);
            self.varint(value as u64); // a negative number takes ten bytes, as two's complement
        }
        self
    }

    /// Adds a `double`, even when it is zero.
    pub fn double(mut self, field: u32, value: f64) -> Message {
        self.tag(field, 1);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// Adds a `float`, even when it is zero: a member of a `oneof` must be present.
    pub fn float(mut self, field: u32, value: f32) -> Message {
        self.tag(field, 5);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// Adds a `string`, even when it is empty.
    pub fn text(self, field: u32, value: &str) -> Message {
        self.delimited(field, value.as_bytes())
    }

    /// Adds a nested message, even when it is empty: its presence matters.
    pub fn message(self, field: u32, value: &Message) -> Message {
        self.delimited(field, &value.bytes)
    }

    /// The encoded message.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn delimited(mut self, field: u32, value: &[u8]) -> Message {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_equal_examples_of_the_specification() {
        // The examples of the encoding guide: a = 150, b = "testing", then fixed ones.
        let bytes = b"\x08\x96\x01\x12\x07testing\x19\0\0\0\0\0\0\xf0\x3f\x25\0\0\x80\x3f";
        let fields: Vec<_> = Fields::new(bytes).map(Result::unwrap).collect();
        let expected = [
            (1, Wire::Varint(150)),
            (2, Wire::Bytes(b"testing")),
            (3, Wire::Fixed64(1f64.to_bits())),
            (4, Wire::Fixed32(1f32.to_bits())),
        ];
        assert_eq!(fields, expected);
        assert_eq!((zigzag(0), zigzag(1), zigzag(2), zigzag(u64::MAX)), (0, -1, 1, i64::MIN));
    }

    #[test]
    fn malformed_field_ends_the_message() {
        let cases: [&[u8]; 6] = [
            b"\x08",
            b"\x12\x07test",
            b"\x0b",
            b"\0\x01",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            &[0xff; 12],
        ];
        for bytes in cases {
            let fields: Vec<_> = Fields::new(bytes).collect();
            assert_eq!(fields, [Err(Malformed)], "{bytes:?}");
        }
    }

    #[test]
    fn fields_are_encoded_as_the_documentation_shows() {
        // The examples of the encoding guide.
        assert_eq!(Message::new().integer(1, 150).bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(
            Message::new().text(2, "testing").bytes(),
            [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]
        );
        let inner = Message::new().integer(1, 150);
        assert_eq!(Message::new().message(3, &inner).bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let minus_two = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Message::new().integer(1, -2).bytes()[1..], minus_two);
    }

    #[test]
    fn field_numbers_above_15_take_two_bytes() {
        assert_eq!(Message::new().integer(200, 1).bytes(), [0xc0, 0x0c, 0x01]);
    }

    #[test]
    fn numbers_of_fixed_width_are_little_endian() {
        assert_eq!(Message::new().float(2, 1.0).bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::new().double(1, -2.0).bytes(), [0x09, 0, 0, 0, 0, 0, 0, 0, 0xc0]);
    }

    #[test]
    fn only_zero_integers_are_omitted() {
        assert!(Message::new().integer(1, 0).bytes().is_empty());
        assert_eq!(Message::new().float(2, 0.0).bytes().len(), 5);
        assert_eq!(Message::new().text(1, "").bytes(), [0x0a, 0]);
        assert_eq!(Message::new().message(2, &Message::new()).bytes(), [0x12, 0]);
    }
}
