//! Many deliveries in one attempt: what the attempt carries.
use hookwright_model::Delivery;

/// What one attempt carries.
pub(super) enum Load {
    One(Delivery),
    /// Of one source; never empty.
    Many(Vec<Delivery>),
}

impl Load {
    pub(super) fn deliveries(&self) -> &[Delivery] {
        match self {
            Self::One(delivery) => std::slice::from_ref(delivery),
            Self::Many(deliveries) => deliveries,
        }
    }

    pub(super) fn split_first(&self) -> (&Delivery, &[Delivery]) {
        self.deliveries().split_first().expect("a load holds one delivery at the least")
    }
}

/// Bytes that a JSON body gets around it, about: for what is gathered before it is written.
pub(super) const AROUND: usize = 160;
