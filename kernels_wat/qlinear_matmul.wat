;; qlinear_matmul — Y[m,n] = saturate(round((b[n] + Σk A[m,k]·W[k,n])·s[n]) + zero point), and products of int8 as int32
;; Order     integers are exact (int32 wraps); then one product, clamp to [lo, hi], round to even, + zy
;; Layout    A m rows of bytes, lda apart, signs flipped by fa · W packed [⌈n/8⌉][k8/2][8][2] with k8 = 8·⌈k/8⌉, zeros in the
;;           padding · b, s padded to 8; s = 0: Y is the int32 sums · Y rows ldc bytes apart, signs flipped by fy
;;           b holds the correction for the zero point of A, see i8_qgemm_bias
;; Requires  lda ≥ 0 · |sum·s| < 2²² but for W of int16 · `scratch`: $block_bytes! for each block of r rows
;; Writes    exactly Y[r·m0:r·m1, 0:n] up to row m, and the scratch of these blocks
;; Tiles     four interleaved rows by one panel, both as int16; as bytes where the tier multiplies those, W is int8 and
;;           there are several rows
(module
  (func $i8_qgemm!
    (param $requantize (ref $requantize)) (param $clip (ref $clip)) (param $bound (ref $bound)) (param $wide i32)
    (param $y i32) (param $scratch i32) (param $a i32) (param $w i32) (param $b i32) (param $s i32)
    (param $lo f32) (param $hi f32) (param $zy i32) (param $fy i32) (param $fa i32)
    (param $m i32) (param $r i32) (param $k i32) (param $n i32) (param $lda i32) (param $ldc i32) (param $m0 i32) (param $m1 i32)
    (local $vfa v128)
    (local $i i32) (local $last i32) (local $rows i32) (local $k8 i32) (local $place i32) (local $to i32) (local $rest i32)
    (local $p i32) (local $p1 i32) (local $p2 i32) (local $p3 i32) (local $final i32) (local $panel i32)
    (local $flip4 i32) (local $fours i32)
    (local.set $vfa (call $flip16! (local.get $fa)))
    (if (call $multiplies_bytes! (local.get $wide))
      (then
        (local.set $flip4 (call $dot4_flip!))
        ;; Weights that one row meets are read once: there is no time to put them into another order.
        (local.set $fours (i32.and (i32.ge_s (local.get $flip4) (i32.const 0)) (i32.gt_u (local.get $m) (i32.const 1))))
        (if (local.get $fours) (then (local.set $vfa (call $flip! (i32.xor (local.get $fa) (local.get $flip4))))))))
    (local.set $k8 (i32.and (i32.add (local.get $k) (i32.const 7)) (i32.const -8)))
    (local.set $place (i32.add (local.get $scratch) (i32.mul (local.get $m0) (call $block_bytes! (local.get $r) (local.get $k8)))))
    (local.set $panel (call $block_panel! (local.get $place) (local.get $r) (local.get $k8)))
    (local.set $i (i32.mul (local.get $m0) (local.get $r)))
    (local.set $last (call $min_u! (i32.mul (local.get $m1) (local.get $r)) (local.get $m)))
    (block $done
      (loop $blocks
        (br_if $done (i32.ge_u (local.get $i) (local.get $last)))
        (local.set $rows (call $min_u! (i32.sub (local.get $last) (local.get $i)) (local.get $r)))
        ;; Past the last row, the last one again.
        (local.set $p (i32.add (local.get $a) (i32.mul (local.get $i) (local.get $lda))))
        (local.set $final
          (i32.add (local.get $p) (i32.mul (i32.sub (local.get $rows) (i32.const 1)) (local.get $lda))))
        (local.set $to (local.get $place))
        (local.set $rest (local.get $rows))
        (loop $fours
          (local.set $p1 (call $min_u! (i32.add (local.get $p) (local.get $lda)) (local.get $final)))
          (local.set $p2 (call $min_u! (i32.add (local.get $p1) (local.get $lda)) (local.get $final)))
          (local.set $p3 (call $min_u! (i32.add (local.get $p2) (local.get $lda)) (local.get $final)))
          (local.set $to
            (call $next_tile! (call $multiplies_bytes! (local.get $wide)) (local.get $fours)
              (local.get $to) (local.get $p) (local.get $p1) (local.get $p2) (local.get $p3)
              (local.get $k8) (local.get $vfa)))
          (local.set $p (i32.add (local.get $p) (i32.shl (local.get $lda) (i32.const 2))))
          (br_if $fours
            (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 4))) (i32.const 0))))
        (call $panels! (local.get $requantize) (local.get $clip) (local.get $bound) (local.get $wide) (i32.const 1)
          (local.get $fours) (local.get $flip4)
          (i32.add (local.get $y) (i32.mul (local.get $i) (local.get $ldc))) (local.get $ldc)
          (local.get $place) (local.get $panel) (local.get $w) (local.get $b) (local.get $s)
          (local.get $lo) (local.get $hi) (local.get $zy) (local.get $fy)
          (local.get $k) (local.get $k8) (local.get $n) (local.get $rows))
        (local.set $i (i32.add (local.get $i) (local.get $r)))
        (br $blocks))))

  (@kernel "i8_qgemm"
    (call $i8_qgemm! (ref.func $requantize_small!) (ref.func $clip_small!) (ref.func $bound_small!) (i32.const 0)))
  ;; W of int16: what right operands become when packed at run time, and weights with zero points that do not fit.
  (@kernel "i8_qgemm_w16"
    (call $i8_qgemm! (ref.func $requantize_any!) (ref.func $clip_any!) (ref.func $bound_any!) (i32.const 1)))

  ;; y[i] = b[i] − c[i]·z: the correction of sums for a zero point that is known at run time only. z: one byte, its sign
  ;; flipped by f; c: the sums of the weights. Elements m0 ≤ i < m1.
  (func $i8_qgemm_bias (export "i8_qgemm_bias")
    (param $y i32) (param $b i32) (param $c i32) (param $z i32) (param $f i32)
    (param $m0 i32) (param $m1 i32)
    (local $v v128) (local $i i32) (local $o i32)
    (local.set $v (i32x4.splat (call $byte! (local.get $z) (local.get $f))))
    (local.set $i (local.get $m0))
    (block $done
      (loop $vectors
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $o (i32.shl (local.get $i) (i32.const 2)))
        (call $store_x32!
          (i32.add (local.get $y) (local.get $o))
          (i32x4.sub
            (v128.load (i32.add (local.get $b) (local.get $o)))
            (i32x4.mul (v128.load (i32.add (local.get $c) (local.get $o))) (local.get $v)))
          (i32.sub (local.get $m1) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br $vectors))))

  ;; x8_qpack — a right operand B [k, n] of bytes as panels of int16, less its zero point, and the sums that go with it
  ;; Order     w = b − zb; y[n] = bias[n] − za·Σk w, int32
  ;; Layout    B rows and columns ks and ns bytes apart, signs flipped by fb; w as i8_qgemm_w16 reads it, zeros in the padding
  ;;           zb: one byte, or one for each column if zs = 1; za: one byte, its sign flipped by fa · bias, y padded to 8
  ;; Writes    panels m0 ≤ panel < m1 of w and y
  (func $x8_qpack (export "x8_qpack")
    (param $w i32) (param $y i32) (param $b i32) (param $bias i32) (param $zb i32) (param $za i32)
    (param $fb i32) (param $fa i32) (param $zs i32) (param $k i32) (param $n i32) (param $ks i32) (param $ns i32)
    (param $m0 i32) (param $m1 i32)
    (local $j i32) (local $end i32) (local $i i32) (local $k8 i32) (local $p i32) (local $q i32) (local $v i32)
    (local $sum i32) (local $z i32) (local $left i32)
    (local.set $left (call $byte! (local.get $za) (local.get $fa)))
    (local.set $k8 (i32.and (i32.add (local.get $k) (i32.const 7)) (i32.const -8)))
    (local.set $j (i32.shl (local.get $m0) (i32.const 3)))
    (local.set $end (i32.shl (local.get $m1) (i32.const 3)))
    (block $done
      (loop $columns
        (br_if $done (i32.ge_u (local.get $j) (local.get $end)))
        (local.set $q
          (i32.add (local.get $w)
            (i32.add
              (i32.shl (i32.mul (i32.and (local.get $j) (i32.const -8)) (local.get $k8)) (i32.const 1))
              (i32.shl (i32.and (local.get $j) (i32.const 7)) (i32.const 2)))))
        (local.set $p (i32.add (local.get $b) (i32.mul (local.get $j) (local.get $ns))))
        (local.set $sum (i32.const 0))
        (local.set $z (i32.const 0))
        (if (i32.lt_u (local.get $j) (local.get $n))
          (then
            (local.set $z
              (call $byte! (i32.add (local.get $zb) (i32.mul (local.get $j) (local.get $zs))) (local.get $fb)))))
        (local.set $i (i32.const 0))
        (loop $depths
          (local.set $v (i32.const 0))
          (if (i32.and (i32.lt_u (local.get $i) (local.get $k)) (i32.lt_u (local.get $j) (local.get $n)))
            (then (local.set $v (i32.sub (call $byte! (local.get $p) (local.get $fb)) (local.get $z)))))
          (i32.store16 (local.get $q) (local.get $v))
          (local.set $sum (i32.add (local.get $sum) (local.get $v)))
          (local.set $p (i32.add (local.get $p) (local.get $ks)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          ;; The other depth of a pair is next to it, the next pair 32 bytes after this one.
          (local.set $q
            (i32.add (local.get $q) (select (i32.const 2) (i32.const 30) (i32.and (local.get $i) (i32.const 1)))))
          (br_if $depths (i32.lt_u (local.get $i) (local.get $k8))))
        (i32.store (i32.add (local.get $y) (i32.shl (local.get $j) (i32.const 2)))
          (i32.sub
            (i32.load (i32.add (local.get $bias) (i32.shl (local.get $j) (i32.const 2))))
            (i32.mul (local.get $left) (local.get $sum))))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br $columns))))
)
