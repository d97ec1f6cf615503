//! Protocol Buffers, as far as the logs of TensorBoard and W&B need them, and writing only.
//!
//! A message is its fields, one after another: a tag, `number << 3 | type`, then the value.
//! Type 0 is a varint (seven bits a byte, the lowest first, the top bit set on all but the last),
//! 1 and 5 are eight and four bytes, little-endian, 2 is a length and that many bytes.
//!
//! By hand, because two dozen fields are used of the hundreds that generated code would bring.
//! Format: <https://protobuf.dev/programming-guides/encoding/>

/// A message under construction: fields stand in the order of the calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A message without fields, which is no bytes at all.
    pub(super) fn new() -> Message {
        Message::default()
    }

    /// An `int32` or `int64`. Zero is what a reader takes for absent, so proto3 leaves it out.
    pub(super) fn integer(mut self, field: u32, value: i64) -> Message {
        if value != 0 {
            self.tag(field, 0);
            self.varint(value as u64); // a negative number takes ten bytes, as two's complement
        }
        self
    }

    /// A `double`, written even when it is zero.
    pub(super) fn double(mut self, field: u32, value: f64) -> Message {
        self.tag(field, 1);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// A `float`, written even when it is zero: the alternative of a `oneof` is then still known.
    pub(super) fn float(mut self, field: u32, value: f32) -> Message {
        self.tag(field, 5);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// A `string`, written even when it is empty.
    pub(super) fn text(self, field: u32, value: &str) -> Message {
        self.delimited(field, value.as_bytes())
    }

    /// A message within the message, written even when it has no fields: being there is its meaning.
    pub(super) fn message(self, field: u32, value: &Message) -> Message {
        self.delimited(field, &value.bytes)
    }

    /// The message, encoded.
    pub(super) fn bytes(&self) -> &[u8] {
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
    fn fields_are_encoded_as_the_documentation_shows() {
        // The examples of the page named above.
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
    fn only_a_zero_integer_is_left_out() {
        assert!(Message::new().integer(1, 0).bytes().is_empty());
        assert_eq!(Message::new().float(2, 0.0).bytes().len(), 5);
        assert_eq!(Message::new().text(1, "").bytes(), [0x0a, 0]);
        assert_eq!(Message::new().message(2, &Message::new()).bytes(), [0x12, 0]);
    }
}
