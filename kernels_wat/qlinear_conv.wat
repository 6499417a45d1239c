;; qlinear_conv — Y = saturate(round((b[m] + Σ(kh,kw,c) X·W)·s[m]) + zero point) over channels-last feature maps of bytes
;; Order     integers are exact (int32 wraps); then one product, clamp to [lo, hi], round to even, + zy
;; Layout    x pixels px bytes apart, rows of iw pixels, images of ih rows, signs flipped by fx; y pixels py bytes apart,
;;           signs flipped by fy · W packed [⌈oc/8⌉][k8/2][8][2] with k = kh·kw·ic, k8 = 8·⌈k/8⌉,
;;           zeros in the padding · b, s padded to 8; s = 0: y is the int32 sums
;;           b holds the correction for the zero point of x, see i8_qgemm_bias
;; Requires  |sum·s| < 2²² but for W of int16 · kw·ic bytes at `pad`, each the zero point of x
;;           `scratch`: four times 2·k8 + 16 bytes for each output row, of which the rows m0:m1 are used
;; Writes    output rows m0 ≤ n·oh + row < m1, channels 0:oc, and the scratch
;; Tiles     the windows of four output pixels in a row, which may go on in the next line, are widened to int16 once and
;;           serve all filters. Where a window lies inside the line and pixels are dense, a kernel row is one run of kw·ic bytes.
(module
  (func $i8_qconv! (param $dot (ref $dot)) (param $requantize (ref $requantize)) (param $bound (ref $bound)) (param $step i32)
    (param $y i32) (param $scratch i32) (param $x i32) (param $w i32) (param $b i32) (param $s i32) (param $pad i32)
    (param $lo f32) (param $hi f32) (param $zy i32) (param $fy i32) (param $fx i32)
    (param $ih i32) (param $iw i32) (param $ic i32) (param $oh i32) (param $ow i32) (param $oc i32)
    (param $kh i32) (param $kw i32) (param $sh i32) (param $sw i32) (param $dh i32) (param $dw i32)
    (param $pt i32) (param $pl i32) (param $px i32) (param $py i32)
    (param $m0 i32) (param $m1 i32)
    (local $vlo v128) (local $vhi v128) (local $base v128) (local $vfy v128) (local $vfx v128)
    (local $m i32) (local $last i32) (local $image i32) (local $top i32) (local $place i32) (local $row i32) (local $kb i32)
    (local $p i32) (local $rows i32) (local $to i32) (local $left i32) (local $taps i32) (local $run i32)
    (local $ky i32) (local $kx i32) (local $iy i32) (local $line i32) (local $dense i32)
    (local.set $vlo (call_ref $bound (local.get $lo) (local.get $zy) (local.get $bound)))
    (local.set $vhi (call_ref $bound (local.get $hi) (local.get $zy) (local.get $bound)))
    (local.set $base (call $base! (local.get $zy)))
    (local.set $vfy (call $flip! (local.get $fy)))
    (local.set $vfx (call $flip! (local.get $fx)))
    (local.set $kb
      (i32.shl
        (i32.and
          (i32.add (i32.mul (i32.mul (local.get $kh) (local.get $kw)) (local.get $ic)) (i32.const 7)) (i32.const -8))
        (i32.const 1)))
    (local.set $row (i32.add (local.get $kb) (i32.const 16)))
    (local.set $dense
      (i32.and (i32.eq (local.get $dw) (i32.const 1)) (i32.eq (local.get $px) (local.get $ic))))
    (local.set $place
      (i32.add (local.get $scratch) (i32.shl (i32.mul (local.get $m0) (local.get $row)) (i32.const 2))))
    (local.set $m (i32.mul (local.get $m0) (local.get $ow)))
    (local.set $last (i32.mul (local.get $m1) (local.get $ow)))
    (block $done
      (loop $tiles
        (br_if $done (i32.ge_u (local.get $m) (local.get $last)))
        (local.set $rows (call $min_u! (i32.sub (local.get $last) (local.get $m)) (i32.const 4)))
        (local.set $p (i32.const 0))
        (loop $pixels
          (local.set $to (i32.add (local.get $place) (i32.mul (local.get $p) (local.get $row))))
          ;; The window of pixel m + p: image, first row, first column.
          (local.set $left (i32.add (local.get $m) (local.get $p)))
          (local.set $top (i32.div_u (local.get $left) (local.get $ow)))
          (local.set $left (i32.sub (local.get $left) (i32.mul (local.get $top) (local.get $ow))))
          (local.set $left (i32.sub (i32.mul (local.get $left) (local.get $sw)) (local.get $pl)))
          (local.set $image (i32.div_u (local.get $top) (local.get $oh)))
          (local.set $top (i32.sub (local.get $top) (i32.mul (local.get $image) (local.get $oh))))
          (local.set $top (i32.sub (i32.mul (local.get $top) (local.get $sh)) (local.get $pt)))
          (local.set $image
            (i32.add (local.get $x)
              (i32.mul (local.get $image) (i32.mul (i32.mul (local.get $ih) (local.get $iw)) (local.get $px)))))
          (local.set $taps
            (select (local.get $kw) (i32.const 1)
              (i32.and
                (i32.and (local.get $dense) (i32.ge_s (local.get $left) (i32.const 0)))
                (i32.le_s (i32.add (local.get $left) (local.get $kw)) (local.get $iw)))))
          (local.set $run (i32.mul (local.get $ic) (local.get $taps)))
          (local.set $ky (i32.const 0))
          (loop $kernel_rows
            (local.set $iy (i32.add (local.get $top) (i32.mul (local.get $ky) (local.get $dh))))
            (local.set $line
              (select
                (i32.add (local.get $image)
                  (i32.mul (i32.mul (local.get $iy) (local.get $iw)) (local.get $px)))
                (i32.const 0)
                (i32.lt_u (local.get $iy) (local.get $ih))))
            (local.set $kx (i32.const 0))
            (loop $kernel_columns
              (call $widen! (local.get $to)
                (call $pixel! (local.get $line)
                  (i32.add (local.get $left) (i32.mul (local.get $kx) (local.get $dw)))
                  (local.get $iw) (local.get $px) (local.get $pad))
                (local.get $run) (local.get $vfx))
              (local.set $to (i32.add (local.get $to) (i32.shl (local.get $run) (i32.const 1))))
              (br_if $kernel_columns
                (i32.lt_u (local.tee $kx (i32.add (local.get $kx) (local.get $taps))) (local.get $kw))))
            (br_if $kernel_rows
              (i32.lt_u (local.tee $ky (i32.add (local.get $ky) (i32.const 1))) (local.get $kh))))
          (br_if $pixels
            (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 1))) (local.get $rows))))
        (call $panels! (local.get $dot) (local.get $requantize) (local.get $step)
          (i32.add (local.get $y) (i32.mul (local.get $m) (local.get $py))) (local.get $py)
          (local.get $place) (local.get $row) (local.get $w) (local.get $b) (local.get $s)
          (local.get $vlo) (local.get $vhi) (local.get $base) (local.get $vfy)
          (local.get $kb) (local.get $oc) (local.get $rows))
        (local.set $m (i32.add (local.get $m) (i32.const 4)))
        (br $tiles))))

  (@kernel "i8_qconv"
    (call $i8_qconv! (ref.func $dot4x8_w8!) (ref.func $requantize_small!) (ref.func $bound_small!) (i32.const 16)))
  ;; W of int16: weights with zero points whose differences do not fit into eight bits.
  (@kernel "i8_qconv_w16"
    (call $i8_qconv! (ref.func $dot4x8_w16!) (ref.func $requantize_any!) (ref.func $bound_any!) (i32.const 32)))
)
