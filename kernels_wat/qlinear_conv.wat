;; qlinear_conv — Y = saturate(round((b[m] + Σ(kh,kw,c) X·W)·s[m]) + zero point) over channels-last feature maps of bytes
;; Order     integers are exact (int32 wraps); then one product, clamp to [lo, hi], round to even, + zy
;; Layout    x pixels px bytes apart, rows of iw pixels, images of ih rows, signs flipped by fx; y pixels py bytes apart,
;;           signs flipped by fy · W packed [⌈oc/8⌉][k8/2][8][2] with k = kh·kw·ic, k8 = 8·⌈k/8⌉,
;;           zeros in the padding · b, s padded to 8; s = 0: y is the int32 sums
;;           b holds the correction for the zero point of x, see i8_qgemm_bias
;; Requires  |sum·s| < 2²² but for W of int16 · ic bytes at `pad`, each the zero point of x
;;           `scratch`: $block_bytes! for each block of r output pixels
;; Writes    the output pixels r·m0 ≤ (n·oh + row)·ow + column < r·m1 up to pixel m, channels 0:oc, and their scratch
;; Tiles     the windows of four output pixels in a row, which may go on in the next line, are copied side by side, as in
;;           i8_qgemm, and serve all filters. Where a window lies inside the image and pixels are dense, a kernel row is one
;;           run of kw·ic bytes.
(module
  ;; n bytes, rounded up to sixteens.
  (func $copy_run! (param $to i32) (param $from i32) (param $n i32)
    (local $i i32)
    (local.set $i (i32.const 0))
    (loop $vectors
      (v128.store (i32.add (local.get $to) (local.get $i)) (v128.load (i32.add (local.get $from) (local.get $i))))
      (br_if $vectors (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 16))) (local.get $n)))))

  (func $i8_qconv!
    (param $requantize (ref $requantize)) (param $clip (ref $clip)) (param $bound (ref $bound)) (param $wide i32)
    (param $y i32) (param $scratch i32) (param $x i32) (param $w i32) (param $b i32) (param $s i32) (param $pad i32)
    (param $lo f32) (param $hi f32) (param $zy i32) (param $fy i32) (param $fx i32) (param $m i32) (param $r i32)
    (param $ih i32) (param $iw i32) (param $ic i32) (param $oh i32) (param $ow i32) (param $oc i32)
    (param $kh i32) (param $kw i32) (param $sh i32) (param $sw i32) (param $dh i32) (param $dw i32)
    (param $pt i32) (param $pl i32) (param $px i32) (param $py i32)
    (param $m0 i32) (param $m1 i32)
    (local $vfx v128)
    (local $i i32) (local $last i32) (local $rows i32) (local $place i32) (local $k i32) (local $k8 i32)
    (local $image i32) (local $row i32) (local $column i32) (local $pitch i32) (local $down i32) (local $dense i32)
    (local $p i32) (local $end i32) (local $tile i32) (local $windows i32) (local $panel i32) (local $window i32)
    (local $to i32) (local $from i32) (local $line i32) (local $run i32) (local $reach i32)
    (local $iy i32) (local $left i32) (local $ky i32) (local $kx i32) (local $flip4 i32) (local $fours i32)
    (local.set $vfx (call $flip16! (local.get $fx)))
    (if (call $multiplies_bytes! (local.get $wide))
      (then
        (local.set $flip4 (call $dot4_flip!))
        (local.set $fours (i32.ge_s (local.get $flip4) (i32.const 0)))
        (if (local.get $fours) (then (local.set $vfx (call $flip! (i32.xor (local.get $fx) (local.get $flip4))))))))
    (local.set $k (i32.mul (i32.mul (local.get $kh) (local.get $kw)) (local.get $ic)))
    (local.set $k8 (i32.and (i32.add (local.get $k) (i32.const 7)) (i32.const -8)))
    (local.set $pitch (i32.mul (local.get $iw) (local.get $px)))
    (local.set $down (i32.mul (local.get $dh) (local.get $pitch)))
    (local.set $run (i32.mul (local.get $kw) (local.get $ic)))
    ;; Rows from a window's first one to behind its last one.
    (local.set $reach
      (i32.add (i32.mul (i32.sub (local.get $kh) (i32.const 1)) (local.get $dh)) (i32.const 1)))
    (local.set $dense
      (i32.and (i32.eq (local.get $dw) (i32.const 1)) (i32.eq (local.get $px) (local.get $ic))))
    (local.set $place (i32.add (local.get $scratch) (i32.mul (local.get $m0) (call $block_bytes! (local.get $r) (local.get $k8)))))
    (local.set $panel (call $block_panel! (local.get $place) (local.get $r) (local.get $k8)))
    ;; Windows lie where those that are left are not yet overwritten by the tiles made of them.
    (local.set $windows
      (i32.add (local.get $place) (i32.mul (i32.add (local.get $r) (i32.const 4)) (local.get $k8))))
    (local.set $i (i32.mul (local.get $m0) (local.get $r)))
    (local.set $last (call $min_u! (i32.mul (local.get $m1) (local.get $r)) (local.get $m)))
    (block $done
      (loop $blocks
        (br_if $done (i32.ge_u (local.get $i) (local.get $last)))
        (local.set $rows (call $min_u! (i32.sub (local.get $last) (local.get $i)) (local.get $r)))
        (local.set $p (local.get $i))
        (local.set $end (i32.add (local.get $i) (local.get $rows)))
        ;; Pixel p: image, row, column.
        (local.set $row (i32.div_u (local.get $p) (local.get $ow)))
        (local.set $column (i32.sub (local.get $p) (i32.mul (local.get $row) (local.get $ow))))
        (local.set $image (i32.div_u (local.get $row) (local.get $oh)))
        (local.set $row (i32.sub (local.get $row) (i32.mul (local.get $image) (local.get $oh))))
        (local.set $image (i32.add (local.get $x) (i32.mul (local.get $image) (i32.mul (local.get $ih) (local.get $pitch)))))
        (local.set $window (local.get $windows))
        (loop $pixels
          (local.set $to (local.get $window))
          (local.set $iy (i32.sub (i32.mul (local.get $row) (local.get $sh)) (local.get $pt)))
          (local.set $left (i32.sub (i32.mul (local.get $column) (local.get $sw)) (local.get $pl)))
          (local.set $line (i32.add (local.get $image) (i32.mul (local.get $iy) (local.get $pitch))))
          (local.set $from (i32.add (local.get $line) (i32.mul (local.get $left) (local.get $px))))
          (local.set $ky (local.get $kh))
          (if
            (i32.and
              (i32.and
                (i32.and (local.get $dense) (i32.ge_s (local.get $left) (i32.const 0)))
                (i32.le_s (i32.add (local.get $left) (local.get $kw)) (local.get $iw)))
              (i32.and
                (i32.ge_s (local.get $iy) (i32.const 0))
                (i32.le_s (i32.add (local.get $iy) (local.get $reach)) (local.get $ih))))
            (then
              (loop $kernel_rows
                (call $copy_run! (local.get $to) (local.get $from) (local.get $run))
                (local.set $to (i32.add (local.get $to) (local.get $run)))
                (local.set $from (i32.add (local.get $from) (local.get $down)))
                (br_if $kernel_rows (local.tee $ky (i32.sub (local.get $ky) (i32.const 1))))))
            (else
              (loop $kernel_rows
                (local.set $from (select (local.get $line) (i32.const 0) (i32.lt_u (local.get $iy) (local.get $ih))))
                (local.set $kx (i32.const 0))
                (loop $kernel_columns
                  (call $copy_run! (local.get $to)
                    (call $pixel! (local.get $from)
                      (i32.add (local.get $left) (i32.mul (local.get $kx) (local.get $dw)))
                      (local.get $iw) (local.get $px) (local.get $pad))
                    (local.get $ic))
                  (local.set $to (i32.add (local.get $to) (local.get $ic)))
                  (br_if $kernel_columns
                    (i32.lt_u (local.tee $kx (i32.add (local.get $kx) (i32.const 1))) (local.get $kw))))
                (local.set $iy (i32.add (local.get $iy) (local.get $dh)))
                (local.set $line (i32.add (local.get $line) (local.get $down)))
                (br_if $kernel_rows (local.tee $ky (i32.sub (local.get $ky) (i32.const 1)))))))
          (local.set $column (i32.add (local.get $column) (i32.const 1)))
          (if (i32.eq (local.get $column) (local.get $ow))
            (then
              (local.set $column (i32.const 0))
              (local.set $row (i32.add (local.get $row) (i32.const 1)))
              (if (i32.eq (local.get $row) (local.get $oh))
                (then
                  (local.set $row (i32.const 0))
                  (local.set $image
                    (i32.add (local.get $image) (i32.mul (local.get $ih) (local.get $pitch))))))))
          (local.set $window (i32.add (local.get $window) (local.get $k8)))
          (br_if $pixels (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 1))) (local.get $end))))
        ;; Past the last pixel, whatever is there.
        (local.set $window (local.get $windows))
        (local.set $tile (local.get $place))
        (local.set $p (local.get $rows))
        (loop $fours
          (local.set $tile
            (call $next_tile! (call $multiplies_bytes! (local.get $wide)) (local.get $fours)
              (local.get $tile) (local.get $window)
              (i32.add (local.get $window) (local.get $k8))
              (i32.add (local.get $window) (i32.shl (local.get $k8) (i32.const 1)))
              (i32.add (local.get $window) (i32.mul (local.get $k8) (i32.const 3)))
              (local.get $k8) (local.get $vfx)))
          (local.set $window (i32.add (local.get $window) (i32.shl (local.get $k8) (i32.const 2))))
          (br_if $fours (i32.gt_s (local.tee $p (i32.sub (local.get $p) (i32.const 4))) (i32.const 0))))
        (call $panels! (local.get $requantize) (local.get $clip) (local.get $bound) (local.get $wide) (i32.const 0)
          (local.get $fours) (local.get $flip4)
          (i32.add (local.get $y) (i32.mul (local.get $i) (local.get $py))) (local.get $py)
          (local.get $place) (local.get $panel) (local.get $w) (local.get $b) (local.get $s)
          (local.get $lo) (local.get $hi) (local.get $zy) (local.get $fy)
          (local.get $k) (local.get $k8) (local.get $oc) (local.get $rows))
        (local.set $i (i32.add (local.get $i) (local.get $r)))
        (br $blocks))))

  (@kernel "i8_qconv"
    (call $i8_qconv! (ref.func $requantize_small!) (ref.func $clip_small!) (ref.func $bound_small!) (i32.const 0)))
  ;; W of int16: weights with zero points whose differences do not fit into eight bits.
  (@kernel "i8_qconv_w16"
    (call $i8_qconv! (ref.func $requantize_any!) (ref.func $clip_any!) (ref.func $bound_any!) (i32.const 1)))
)
