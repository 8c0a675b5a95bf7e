//! What one attempt carries: a delivery, or many that leave together.
use hookwright_model::Delivery;

/// What one attempt carries. The lane's state takes it out of the window, the attempt sends it.
pub(crate) enum Load {
    One(Delivery),
    /// Of one source; never empty.
    Many(Vec<Delivery>),
}

impl Load {
    pub(crate) fn deliveries(&self) -> &[Delivery] {
        match self {
            Self::One(delivery) => std::slice::from_ref(delivery),
            Self::Many(deliveries) => deliveries,
        }
    }

    pub(crate) fn split_first(&self) -> (&Delivery, &[Delivery]) {
        self.deliveries().split_first().expect("a load holds one delivery at the least")
    }
}
