//! The ways to read a text as a chat, between whose messages are the marks of a template.

use super::Role;
use super::marks::Marks;

/// Maximum number of ways; each costs a rendering. A text with more is ambiguous.
const MAX_PARSES: usize = 64;
/// Maximum number of marks that are tried.
const MAX_STEPS: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Message<'t> {
    pub(super) role: Role,
    pub(super) content: &'t str,
    /// The form of the mark before it; `None` for the first message.
    pub(super) mark: Option<Form>,
}

/// How a trainer put a turn after the assistant's end token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As the template writes it.
    Whole,
    /// Without the whitespace that the template writes after the end token: the model did not sample it, and the
    /// trainer appended a message rendered for itself.
    Joined,
}

/// The ways to read a text.
pub(super) struct Parses<'t> {
    /// The first takes every mark for a mark.
    pub(super) parses: Vec<Vec<Message<'t>>>,
    /// Whether these are all.
    pub(super) complete: bool,
}

/// The ways to read a prompt, which ends with the generation prompt.
pub(super) fn parses<'t>(marks: &Marks, text: &'t str) -> Parses<'t> {
    let mut search = Search::new(marks, text, "", Last::GenerationPrompt);
    let mut firsts: Vec<&(Role, String)> =
        marks.first.iter().filter(|(_, mark)| text.starts_with(mark.as_str())).collect();
    firsts.sort_by_key(|(_, mark)| std::cmp::Reverse(mark.len()));
    for (role, mark) in firsts {
        search.messages(*role, mark.len(), None);
    }
    search.found
}

/// The ways to read a response that has more than one message. `after_end` is what the template writes after the end
/// token of the assistant.
pub(super) fn replies<'t>(marks: &Marks, text: &'t str, after_end: &str) -> Parses<'t> {
    let mut search = Search::new(marks, text, after_end, Last::Open);
    search.messages(Role::Assistant, 0, None);
    search.found.parses.retain(|messages| messages.len() > 1);
    search.found
}

/// What follows the last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    GenerationPrompt,
    /// Nothing: it may have been cut off.
    Open,
}

struct Search<'m, 't> {
    marks: &'m Marks,
    text: &'t str,
    after_end: &'m str,
    last: Last,
    path: Vec<Message<'t>>,
    steps: usize,
    found: Parses<'t>,
}

impl<'m, 't> Search<'m, 't> {
    fn new(marks: &'m Marks, text: &'t str, after_end: &'m str, last: Last) -> Search<'m, 't> {
        let found = Parses { parses: Vec::new(), complete: true };
        Search { marks, text, after_end, last, path: Vec::new(), steps: 0, found }
    }

    /// Adds the ways in which a message of this role begins at byte `start`.
    fn messages(&mut self, role: Role, start: usize, mark: Option<Form>) {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.found.parses.len() >= MAX_PARSES {
            self.found.complete = false;
            return;
        }
        for (at, length, after, form) in self.cuts(role, start) {
            let content = &self.text[start..at];
            if self.may_be_content(content) {
                self.path.push(Message { role, content, mark });
                self.messages(after, at + length, Some(form));
                self.path.pop();
            }
        }
        let ends: Vec<usize> = match self.last {
            Last::Open => vec![self.text.len()],
            Last::GenerationPrompt => {
                let of_role = self.marks.last.iter().filter(|(of, _)| *of == role);
                let ends = of_role.filter(|(_, mark)| self.text.ends_with(mark.as_str()));
                ends.map(|(_, mark)| self.text.len() - mark.len()).collect()
            }
        };
        for end in ends.into_iter().filter(|end| *end >= start) {
            let content = &self.text[start..end];
            // "… of the user\n" is a sentence, not a turn.
            let is_sentence =
                self.last == Last::Open && role == Role::User && mark == Some(Form::Joined);
            if !is_sentence && (self.last == Last::Open || self.may_be_content(content)) {
                self.path.push(Message { role, content, mark });
                self.found.parses.push(self.path.clone());
                self.path.pop();
            }
        }
    }

    /// A template that trims writes no content with whitespace around it.
    fn may_be_content(&self, content: &str) -> bool {
        !self.marks.trims || content == content.trim()
    }

    /// The marks after a message: byte, length, role of the next message, form. The next one first, of several at the
    /// same place the longest.
    fn cuts(&self, role: Role, start: usize) -> Vec<(usize, usize, Role, Form)> {
        let mut cuts = Vec::new();
        for between in self.marks.between.iter().filter(|between| between.before == role) {
            let mark = between.text.as_str();
            let joined = match (self.last, role) {
                (Last::Open, Role::Assistant) if !self.after_end.is_empty() => {
                    mark.strip_prefix(self.after_end)
                }
                _ => None,
            };
            for (mark, form) in [(Some(mark), Form::Whole), (joined, Form::Joined)] {
                let Some(mark) = mark.filter(|mark| !mark.trim().is_empty()) else { continue };
                let found = self.text[start..].match_indices(mark);
                cuts.extend(found.map(|(at, _)| (start + at, mark.len(), between.after, form)));
            }
        }
        cuts.sort_by_key(|&(at, length, ..)| (at, std::cmp::Reverse(length)));
        cuts
    }
}
