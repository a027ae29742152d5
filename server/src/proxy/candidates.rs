//! In which order endpoints are asked: the one that served last, then the others in turn; those
//! that are not fit come last, since they may be better than nobody.

/// The places of `fit` in the order in which to ask, beginning with `current`.
pub fn order(fit: &[bool], current: usize) -> Vec<usize> {
    let ring = || (0..fit.len()).map(|step| (current + step) % fit.len());
    ring().filter(|place| fit[*place]).chain(ring().filter(|place| !fit[*place])).collect()
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn the_fit_come_first_and_nobody_is_left_out() {
        assert_eq!(order(&[true, true, true], 1), [1, 2, 0]);
        assert_eq!(order(&[true, false, true], 1), [2, 0, 1]);
        assert_eq!(order(&[false, false], 1), [1, 0]);
        assert_eq!(order(&[true], 7), [0], "the set may have shrunk");
        assert_eq!(order(&[], 3), [0; 0]);
    }
}
