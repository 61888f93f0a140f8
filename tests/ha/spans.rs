//! Spans of time, in seconds since 1970.

/// From one moment to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Span {
    pub(crate) fn seconds(&self) -> f64 {
        self.to - self.from
    }

    /// Seconds that are in both; none if they do not meet.
    pub(crate) fn overlap(&self, other: &Span) -> f64 {
        (self.to.min(other.to) - self.from.max(other.from)).max(0.0)
    }
}

/// Seconds of all together.
pub(crate) fn total(spans: &[Span]) -> f64 {
    spans.iter().map(Span::seconds).fold(0.0, |sum, seconds| sum + seconds)
}

/// Joins moments, in order, that lie closer together than `gap` seconds.
pub(crate) fn joined(moments: impl IntoIterator<Item = f64>, gap: f64) -> Vec<Span> {
    let mut spans: Vec<Span> = vec![];
    for moment in moments {
        match spans.last_mut() {
            Some(last) if moment - last.to < gap => last.to = moment,
            _ => spans.push(Span { from: moment, to: moment }),
        }
    }
    spans
}

/// The spans between moments, in order, that lie at least `gap` seconds apart.
pub(crate) fn gaps(moments: &[f64], gap: f64) -> Vec<Span> {
    let pairs = moments.windows(2).map(|pair| Span { from: pair[0], to: pair[1] });
    pairs.filter(|span| span.seconds() >= gap).collect()
}

/// The spans in which something held that was looked at again and again: from the first moment of each streak to the last.
pub(crate) fn streaks(looks: impl IntoIterator<Item = (Span, bool)>) -> Vec<Span> {
    let mut streaks: Vec<Span> = vec![];
    let mut is_going_on = false;
    for (look, held) in looks {
        match streaks.last_mut() {
            Some(last) if held && is_going_on => last.to = last.to.max(look.to),
            _ if held => streaks.push(look),
            _ => {}
        }
        is_going_on = held;
    }
    streaks
}
