//! Copies short byte strings without a call: most texts of a message are under 32 bytes.

/// Copies `len` bytes.
///
/// # Safety
/// As [`std::ptr::copy_nonoverlapping`].
#[inline(always)]
pub(crate) unsafe fn copy_bytes(source: *const u8, target: *mut u8, len: usize) {
    // SAFETY: each pair of moves overlaps in the middle and stays inside the `len` bytes of both sides.
    unsafe {
        match len {
            0 => {}
            1..=3 => {
                *target = *source;
                *target.add(len / 2) = *source.add(len / 2);
                *target.add(len - 1) = *source.add(len - 1);
            }
            4..=7 => ends::<u32>(source, target, len),
            8..=15 => ends::<u64>(source, target, len),
            16..=32 => ends::<u128>(source, target, len),
            _ => std::ptr::copy_nonoverlapping(source, target, len),
        }
    }
}

#[inline(always)]
unsafe fn ends<T>(source: *const u8, target: *mut u8, len: usize) {
    let last = len - size_of::<T>();
    // SAFETY: the caller made sure that `len` is at least the size of `T`.
    unsafe {
        let (head, tail) =
            (source.cast::<T>().read_unaligned(), source.add(last).cast::<T>().read_unaligned());
        target.cast::<T>().write_unaligned(head);
        target.add(last).cast::<T>().write_unaligned(tail);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_short_length_is_copied_whole() {
        let source: Vec<u8> = (1..=80).collect();
        for len in 0..=80 {
            let mut target = vec![0; 81];
            // SAFETY: both are long enough.
            unsafe { super::copy_bytes(source.as_ptr(), target.as_mut_ptr(), len) };
            assert_eq!(&target[..len], &source[..len]);
            assert!(target[len..].iter().all(|&byte| byte == 0));
        }
    }
}
