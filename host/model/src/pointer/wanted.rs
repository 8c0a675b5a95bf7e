//! Pointers taken apart and laid over each other as one tree, so that a walk over a document follows all at once.
use std::fmt;

/// Reference tokens of one pointer, at most.
pub const POINTER_TOKENS: usize = 256;
/// Bytes of one pointer, at most.
pub const POINTER_BYTES: usize = 8 << 10;

/// The node of no pointer's tokens at all: the whole document.
pub(super) const ROOT: usize = 0;

/// So many names below one place are compared one by one, more are searched.
const FEW: usize = 8;

/// Pointers to look up, in a form that a walk can follow.
#[derive(Debug, Clone)]
pub struct Wanted {
    nodes: Vec<Node>,
    /// Of the list of pointers, those that lead somewhere: a node's are beside those of the nodes below it.
    order: Vec<usize>,
    count: usize,
    unfit: Option<Unfit>,
}

/// One place in a document that a pointer leads to or through.
#[derive(Debug, Clone, Default)]
struct Node {
    /// Sorted by the name.
    names: Vec<(Box<str>, usize)>,
    /// Those of the names that are numbers of elements, sorted.
    elements: Vec<(usize, usize)>,
    /// Pointers that end here.
    own: Vec<usize>,
    /// Where `order` holds the pointers that end here or below.
    below: std::ops::Range<usize>,
}

/// Why a text is no pointer that is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not empty and not begun by `/`, or with a `~` that neither 0 nor 1 follows.
    Malformed,
    /// Beyond [`POINTER_TOKENS`].
    Tokens(usize),
    /// Beyond [`POINTER_BYTES`].
    Bytes(usize),
}

impl Unfit {
    /// Which of two to tell: a limit rather than a malformed text, the earlier one of equals.
    fn graver(self, later: Self) -> Self {
        if self == Self::Malformed { later } else { self }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str(
                "it must be empty or begin with `/`, with `~0` for `~` and `~1` for `/`",
            ),
            Self::Tokens(count) => {
                write!(f, "it has {count} reference tokens; {POINTER_TOKENS} is the limit")
            }
            Self::Bytes(count) => write!(f, "it has {count} bytes; {POINTER_BYTES} is the limit"),
        }
    }
}

impl Wanted {
    /// Pointers that are unfit lead nowhere; see [`super::check`].
    pub fn new<P: AsRef<str>>(pointers: &[P]) -> Self {
        let mut wanted = Self {
            nodes: vec![Node::default()],
            order: Vec::new(),
            count: pointers.len(),
            unfit: None,
        };
        for (place, pointer) in pointers.iter().enumerate() {
            match tokens(pointer.as_ref()) {
                Ok(tokens) => {
                    let below = |node, token| wanted.below(node, unescaped(token));
                    let node = tokens.fold(ROOT, below);
                    wanted.nodes[node].own.push(place);
                }
                Err(why) => {
                    wanted.unfit = Some(wanted.unfit.map_or(why, |before| before.graver(why)));
                }
            }
        }
        wanted.arrange();
        wanted
    }

    /// Whether no pointer may lead anywhere.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What is wrong with the first pointer that is beyond a limit, else with the first that is malformed; none where
    /// all are fit.
    pub fn unfit(&self) -> Option<Unfit> {
        self.unfit
    }

    /// How many pointers there are, unfit ones too.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn member(&self, node: usize, name: &str) -> Option<usize> {
        let names = &self.nodes[node].names;
        if names.len() <= FEW {
            // Most names of a body differ from the few in length already, which costs no comparison of texts.
            return names.iter().find(|(known, _)| **known == *name).map(|(_, node)| *node);
        }
        let found = names.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(names[found].1)
    }

    pub(super) fn element(&self, node: usize, index: usize) -> Option<usize> {
        let elements = &self.nodes[node].elements;
        let found = elements.binary_search_by_key(&index, |(known, _)| *known).ok()?;
        Some(elements[found].1)
    }

    /// The pointers that end at the node.
    pub(super) fn at(&self, node: usize) -> &[usize] {
        &self.nodes[node].own
    }

    /// The pointers that end at the node or below it.
    pub(super) fn at_or_below(&self, node: usize) -> &[usize] {
        self.order.get(self.nodes[node].below.clone()).unwrap_or_default()
    }

    /// The node of that name below another, made where it is missing.
    fn below(&mut self, node: usize, name: Box<str>) -> usize {
        let new = self.nodes.len();
        let place = match self.nodes[node].names.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(found) => return self.nodes[node].names[found].1,
            Err(place) => place,
        };
        if let Some(index) = index(&name) {
            let elements = &mut self.nodes[node].elements;
            let place = elements.partition_point(|(known, _)| *known < index);
            elements.insert(place, (index, new));
        }
        self.nodes[node].names.insert(place, (name, new));
        self.nodes.push(Node::default());
        new
    }

    /// Fills `order`, without recursion: how deep the tree is, the pointers say.
    fn arrange(&mut self) {
        let mut open = vec![(ROOT, 0)];
        while let Some((node, child)) = open.pop() {
            if child == 0 {
                let first = self.order.len();
                self.order.extend_from_slice(&self.nodes[node].own);
                self.nodes[node].below = first..first;
            }
            match self.nodes[node].names.get(child) {
                Some((_, next)) => {
                    let next = *next;
                    open.extend([(node, child + 1), (next, 0)]);
                }
                None => self.nodes[node].below.end = self.order.len(),
            }
        }
    }
}

/// The tokens as they are written.
pub(super) fn tokens(pointer: &str) -> Result<impl Iterator<Item = &str>, Unfit> {
    if pointer.len() > POINTER_BYTES {
        return Err(Unfit::Bytes(pointer.len()));
    }
    let mut tokens = pointer.split('/');
    if tokens.next().is_none_or(|before| !before.is_empty()) {
        return Err(Unfit::Malformed);
    }
    let count = tokens.clone().count();
    if count > POINTER_TOKENS {
        return Err(Unfit::Tokens(count));
    }
    let mut after = pointer.split('~').skip(1);
    if after.all(|rest| rest.starts_with(['0', '1'])) { Ok(tokens) } else { Err(Unfit::Malformed) }
}

fn unescaped(token: &str) -> Box<str> {
    if !token.contains('~') {
        return token.into();
    }
    // In this order: `~01` is `~1`.
    token.replace("~1", "/").replace("~0", "~").into()
}

/// The number of an element, where the token is one: no leading zero, no sign.
fn index(token: &str) -> Option<usize> {
    let number = token.bytes().all(|byte| byte.is_ascii_digit());
    let short = !token.starts_with('0') || token == "0";
    if number && short { token.parse().ok() } else { None }
}
