//! What a template is made of.
use hookwright_plugin::fields::Field;
use hookwright_plugin::json::Pointer;

/// One value of the new body.
#[derive(Debug)]
pub(crate) enum Template {
    /// JSON text that is the same for all events.
    Constant(String),
    Pull(Pull),
    Text(Vec<Part>),
    /// Each name as JSON text, quotes and all.
    Object(Vec<(String, Template)>),
    Array(Vec<Template>),
}

/// A value of the event.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) place: Place,
    pub(crate) default: Option<Box<Template>>,
    pub(crate) each: Option<Each>,
}

/// What each element of a list becomes.
#[derive(Debug)]
pub(crate) struct Each {
    pub(crate) element: Box<Template>,
    pub(crate) limit: usize,
}

/// Where a value is.
#[derive(Debug)]
pub(crate) enum Place {
    Event(Field),
    /// Inside the element at hand.
    Element(Pointer),
}

/// A piece of a text.
#[derive(Debug)]
pub(crate) enum Part {
    Literal(String),
    Pull(Place),
}
