//! The kitty graphics protocol: a PNG in base64, in pieces of at most 4096 characters.
//!
//! `ESC _G a=T,f=100,q=2,c=80,r=20,m=1;<base64> ESC \`, then `ESC _G m=1;… ESC \` and `m=0` for the last piece. See
//! <https://sw.kovidgoyal.net/kitty/graphics-protocol/>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Characters of a piece.
const PIECE: usize = 4096;

/// A PNG over this number of columns and rows of cells; answers to it are not wanted.
pub(super) fn escape(png: &[u8], (columns, rows): (u32, u32)) -> Vec<u8> {
    let text = STANDARD.encode(png);
    let mut out = Vec::with_capacity(text.len() + text.len() / 256);
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(PIECE).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let more = u8::from(at + 1 < pieces.len());
        out.extend(match at {
            0 => format!("\x1b_Ga=T,f=100,q=2,c={columns},r={rows},m={more};").into_bytes(),
            _ => format!("\x1b_Gm={more};").into_bytes(),
        });
        out.extend(*piece);
        out.extend(b"\x1b\\");
    }
    out
}
