;; lib_quant — integer tiles and their way back to eight bits
;;
;; Eight-bit tensors are handled as int8: the sign bit of uint8 is flipped on the way in and out (`flip` 0x80… or 0), which
;; moves numbers and zero points by 128. Sums are int32 and wrap.
(module
  (type $dot
    (func (param i32 i32 i32 i32 i32 i32 v128 v128 v128 v128 v128 v128 v128 v128)
          (result v128 v128 v128 v128 v128 v128 v128 v128)))

  ;; n bytes at `from`, signs flipped, as int16 at `to`; up to seven more are read and written.
  (func $widen! (param $to i32) (param $from i32) (param $n i32) (param $flip v128)
    (local $p i32) (local $q i32) (local $end i32)
    (local.set $p (local.get $from))
    (local.set $q (local.get $to))
    (local.set $end (i32.add (local.get $from) (local.get $n)))
    (block $done
      (loop $vectors
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (v128.store (local.get $q)
          (i16x8.extend_low_i8x16_s (v128.xor (v128.load64_zero (local.get $p)) (local.get $flip))))
        (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (local.set $q (i32.add (local.get $q) (i32.const 16)))
        (br $vectors))))

  ;; nearest(v) − base as integers, ties to even. |v| < 2²², so that adding 1.5·2²³ rounds once and leaves the integer in
  ;; the low bits; base = 0x4b400000 − zero point.
  (func $nearest_x32! (param $v v128) (param $base v128) (result v128)
    (i32x4.sub
      (f32x4.add (local.get $v) (v128.const f32x4 0x1.8p23 0x1.8p23 0x1.8p23 0x1.8p23))
      (local.get $base)))

  ;; The same after a clamp to whole numbers that makes any v fit.
  (func $round_x32! (param $v v128) (param $lo v128) (param $hi v128) (param $base v128) (result v128)
    (call $nearest_x32! (call $clamp! (local.get $v) (local.get $lo) (local.get $hi)) (local.get $base)))

  ;; The `base` of $nearest_x32!.
  (func $base! (param $zero i32) (result v128)
    (i32x4.splat (i32.sub (i32.const 0x4b400000) (local.get $zero))))

  ;; Bytes of a sign flip in all lanes.
  (func $flip! (param $f i32) (result v128) (i8x16.splat (local.get $f)))

  ;; How eight sums become int16: two vectors of sums and of multipliers, bounds, base.
  (type $requantize (func (param v128 v128 v128 v128 v128 v128 v128) (result v128)))
  ;; A bound before the zero point is added, and the zero point, as the vector that goes with it.
  (type $bound (func (param f32 i32) (result v128)))

  ;; For any multipliers: clamp, then round.
  (func $requantize_any! (param $v0 v128) (param $v1 v128) (param $s0 v128) (param $s1 v128)
                         (param $lo v128) (param $hi v128) (param $base v128) (result v128)
    (i16x8.narrow_i32x4_s
      (call $round_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $v0)) (local.get $s0))
        (local.get $lo) (local.get $hi) (local.get $base))
      (call $round_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $v1)) (local.get $s1))
        (local.get $lo) (local.get $hi) (local.get $base))))
  (func $bound_any! (param $b f32) (param $zero i32) (result v128) (f32x4.splat (local.get $b)))

  ;; Where products with multipliers are known to be below 2²²: round, then clamp, which gives the same in fewer steps.
  (func $requantize_small! (param $v0 v128) (param $v1 v128) (param $s0 v128) (param $s1 v128)
                           (param $lo v128) (param $hi v128) (param $base v128) (result v128)
    (i16x8.min_s
      (i16x8.max_s
        (i16x8.narrow_i32x4_s
          (call $nearest_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $v0)) (local.get $s0)) (local.get $base))
          (call $nearest_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $v1)) (local.get $s1)) (local.get $base)))
        (local.get $lo))
      (local.get $hi)))
  (func $bound_small! (param $b f32) (param $zero i32) (result v128)
    (i16x8.splat (i32.add (i32.trunc_sat_f32_s (local.get $b)) (local.get $zero))))

  ;; Store the first min(cols, 8) bytes of v; cols ≥ 1.
  (func $store8_x8! (param $y i32) (param $v v128) (param $cols i32)
    (if (i32.ge_u (local.get $cols) (i32.const 8))
      (then (i64.store (local.get $y) (i64x2.extract_lane 0 (local.get $v))))
      (else (call $store_x8! (local.get $y) (local.get $v) (local.get $cols)))))

  ;; Sixteen-bit results within eight bits, as bytes with their signs flipped; the first min(cols, 8) are stored.
  (func $store8_x16! (param $y i32) (param $v v128) (param $fy v128) (param $cols i32)
    (call $store8_x8! (local.get $y)
      (v128.xor (i8x16.narrow_i16x8_s (local.get $v) (local.get $v)) (local.get $fy)) (local.get $cols)))

  ;; Finish one row of eight sums. s: eight multipliers, the result bytes; s = 0: the result is the sums themselves.
  (func $finish_row8! (param $requantize (ref $requantize)) (param $y i32) (param $v0 v128) (param $v1 v128) (param $s i32)
                      (param $lo v128) (param $hi v128) (param $base v128) (param $fy v128) (param $cols i32)
    (if (local.get $s)
      (then
        (call $store8_x16! (local.get $y)
          (call_ref $requantize
            (local.get $v0) (local.get $v1) (v128.load (local.get $s)) (v128.load offset=16 (local.get $s))
            (local.get $lo) (local.get $hi) (local.get $base) (local.get $requantize))
          (local.get $fy) (local.get $cols)))
      (else
        (call $store_x32! (local.get $y) (local.get $v0) (local.get $cols))
        (if (i32.gt_u (local.get $cols) (i32.const 4))
          (then
            (call $store_x32! (i32.add (local.get $y) (i32.const 16)) (local.get $v1)
              (i32.sub (local.get $cols) (i32.const 4))))))))

  ;; The first min(rows, 4) rows of a 4×8 tile.
  (func $finish_tile4x8! (param $requantize (ref $requantize)) (param $y i32) (param $ld i32)
                         (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                         (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                         (param $s i32) (param $lo v128) (param $hi v128) (param $base v128) (param $fy v128)
                         (param $cols i32) (param $rows i32)
    (local $py i32) (local $s0 v128) (local $s1 v128)
    (local $t0 v128) (local $t1 v128) (local $t2 v128) (local $t3 v128)
    (if
      (i32.and
        (i32.and (i32.ge_s (local.get $cols) (i32.const 8)) (i32.ge_s (local.get $rows) (i32.const 4)))
        (i32.ne (local.get $s) (i32.const 0)))
      (then
        (local.set $s0 (v128.load (local.get $s)))
        (local.set $s1 (v128.load offset=16 (local.get $s)))
        (local.set $t0
          (call_ref $requantize (local.get $c00) (local.get $c01) (local.get $s0) (local.get $s1)
            (local.get $lo) (local.get $hi) (local.get $base) (local.get $requantize)))
        (local.set $t1
          (call_ref $requantize (local.get $c10) (local.get $c11) (local.get $s0) (local.get $s1)
            (local.get $lo) (local.get $hi) (local.get $base) (local.get $requantize)))
        (local.set $t2
          (call_ref $requantize (local.get $c20) (local.get $c21) (local.get $s0) (local.get $s1)
            (local.get $lo) (local.get $hi) (local.get $base) (local.get $requantize)))
        (local.set $t3
          (call_ref $requantize (local.get $c30) (local.get $c31) (local.get $s0) (local.get $s1)
            (local.get $lo) (local.get $hi) (local.get $base) (local.get $requantize)))
        (local.set $t0 (v128.xor (i8x16.narrow_i16x8_s (local.get $t0) (local.get $t1)) (local.get $fy)))
        (local.set $t2 (v128.xor (i8x16.narrow_i16x8_s (local.get $t2) (local.get $t3)) (local.get $fy)))
        (v128.store64_lane 0 (local.get $y) (local.get $t0))
        (local.set $py (i32.add (local.get $y) (local.get $ld)))
        (v128.store64_lane 1 (local.get $py) (local.get $t0))
        (local.set $py (i32.add (local.get $py) (local.get $ld)))
        (v128.store64_lane 0 (local.get $py) (local.get $t2))
        (v128.store64_lane 1 (i32.add (local.get $py) (local.get $ld)) (local.get $t2)))
      (else
        (local.set $py (local.get $y))
        (call $finish_row8! (local.get $requantize) (local.get $py) (local.get $c00) (local.get $c01) (local.get $s)
          (local.get $lo) (local.get $hi) (local.get $base) (local.get $fy) (local.get $cols))
        (if (i32.gt_u (local.get $rows) (i32.const 1))
          (then
            (local.set $py (i32.add (local.get $py) (local.get $ld)))
            (call $finish_row8! (local.get $requantize) (local.get $py) (local.get $c10) (local.get $c11) (local.get $s)
              (local.get $lo) (local.get $hi) (local.get $base) (local.get $fy) (local.get $cols))))
        (if (i32.gt_u (local.get $rows) (i32.const 2))
          (then
            (local.set $py (i32.add (local.get $py) (local.get $ld)))
            (call $finish_row8! (local.get $requantize) (local.get $py) (local.get $c20) (local.get $c21) (local.get $s)
              (local.get $lo) (local.get $hi) (local.get $base) (local.get $fy) (local.get $cols))))
        (if (i32.gt_u (local.get $rows) (i32.const 3))
          (then
            (local.set $py (i32.add (local.get $py) (local.get $ld)))
            (call $finish_row8! (local.get $requantize) (local.get $py) (local.get $c30) (local.get $c31) (local.get $s)
              (local.get $lo) (local.get $hi) (local.get $base) (local.get $fy) (local.get $cols)))))))

  ;; Four rows of int16 times all panels: y = finish(b + Σ a·w), the first n columns of the first min(rows, 4) rows.
  ;; a: rows `ar` bytes apart, kb bytes of each, a multiple of 16 · w: panels of kb/4 pairs of depths by eight filters, `step`
  ;; bytes a pair: two vectors of four filters · b, s: padded to eight; s may be 0 · columns of y are `size` bytes
  ;; v128      8 acc + 2 w + 1 a + 1 product = 12 of 16
  (func $panels! (param $dot (ref $dot)) (param $requantize (ref $requantize)) (param $step i32)
                 (param $y i32) (param $ld i32) (param $a i32) (param $ar i32) (param $w i32) (param $b i32) (param $s i32)
                 (param $lo v128) (param $hi v128) (param $base v128) (param $fy v128)
                 (param $kb i32) (param $n i32) (param $rows i32)
    (local $j i32) (local $py i32) (local $pw i32) (local $pb i32) (local $ps i32) (local $end i32)
    (local $dw i32) (local $dy i32) (local $ds i32) (local $p1 i32) (local $p2 i32) (local $p3 i32)
    (local $c00 v128) (local $c01 v128) (local $c10 v128) (local $c11 v128)
    (local $c20 v128) (local $c21 v128) (local $c30 v128) (local $c31 v128)
    (local.set $p1 (i32.add (local.get $a) (select (local.get $ar) (i32.const 0) (i32.gt_u (local.get $rows) (i32.const 1)))))
    (local.set $p2 (i32.add (local.get $p1) (select (local.get $ar) (i32.const 0) (i32.gt_u (local.get $rows) (i32.const 2)))))
    (local.set $p3 (i32.add (local.get $p2) (select (local.get $ar) (i32.const 0) (i32.gt_u (local.get $rows) (i32.const 3)))))
    (local.set $end (i32.add (local.get $a) (local.get $kb)))
    (local.set $pw (local.get $w))
    (local.set $pb (local.get $b))
    (local.set $ps (local.get $s))
    (local.set $py (local.get $y))
    (local.set $dw (i32.mul (i32.shr_u (local.get $kb) (i32.const 2)) (local.get $step)))
    (local.set $dy (select (i32.const 8) (i32.const 32) (local.get $s)))
    (local.set $ds (select (i32.const 32) (i32.const 0) (local.get $s)))
    (local.set $j (local.get $n))
    (loop $columns
      (local.set $c00 (v128.load (local.get $pb)))
      (local.set $c01 (v128.load offset=16 (local.get $pb)))
      (local.set $c10 (local.get $c00)) (local.set $c11 (local.get $c01))
      (local.set $c20 (local.get $c00)) (local.set $c21 (local.get $c01))
      (local.set $c30 (local.get $c00)) (local.set $c31 (local.get $c01))
      (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
      (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
        (call_ref $dot
          (local.get $a) (local.get $p1) (local.get $p2) (local.get $p3) (local.get $pw) (local.get $end)
          (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
          (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31) (local.get $dot))))))))))
      (call $finish_tile4x8! (local.get $requantize) (local.get $py) (local.get $ld)
        (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
        (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
        (local.get $ps) (local.get $lo) (local.get $hi) (local.get $base) (local.get $fy) (local.get $j) (local.get $rows))
      (local.set $pw (i32.add (local.get $pw) (local.get $dw)))
      (local.set $pb (i32.add (local.get $pb) (i32.const 32)))
      (local.set $py (i32.add (local.get $py) (local.get $dy)))
      (local.set $ps (i32.add (local.get $ps) (local.get $ds)))
      (local.set $j (i32.sub (local.get $j) (i32.const 8)))
      (br_if $columns (i32.gt_s (local.get $j) (i32.const 0)))))

  ;; c[r] += Σ a[r]·w over the depths from a0 up to `end`, eight at a time; weights int8.
  (func $dot4x8_w8! (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32) (param $w i32) (param $end i32)
                 (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                 (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                 (result v128 v128 v128 v128 v128 v128 v128 v128)
    (local $w0 v128) (local $w1 v128) (local $v v128)
    (block $done
      (loop $eights
        (br_if $done (i32.ge_u (local.get $a0) (local.get $end)))
        (local.set $w0 (v128.load8x8_s (local.get $w)))
        (local.set $w1 (v128.load8x8_s offset=8 (local.get $w)))
        (local.set $v (v128.load32_splat (local.get $a0)))
        (local.set $c00 (i32x4.add (local.get $c00) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c01 (i32x4.add (local.get $c01) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat (local.get $a1)))
        (local.set $c10 (i32x4.add (local.get $c10) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c11 (i32x4.add (local.get $c11) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat (local.get $a2)))
        (local.set $c20 (i32x4.add (local.get $c20) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c21 (i32x4.add (local.get $c21) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat (local.get $a3)))
        (local.set $c30 (i32x4.add (local.get $c30) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c31 (i32x4.add (local.get $c31) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $w0 (v128.load8x8_s offset=16 (local.get $w)))
        (local.set $w1 (v128.load8x8_s offset=24 (local.get $w)))
        (local.set $v (v128.load32_splat offset=4 (local.get $a0)))
        (local.set $c00 (i32x4.add (local.get $c00) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c01 (i32x4.add (local.get $c01) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a1)))
        (local.set $c10 (i32x4.add (local.get $c10) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c11 (i32x4.add (local.get $c11) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a2)))
        (local.set $c20 (i32x4.add (local.get $c20) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c21 (i32x4.add (local.get $c21) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a3)))
        (local.set $c30 (i32x4.add (local.get $c30) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c31 (i32x4.add (local.get $c31) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $w0 (v128.load8x8_s offset=32 (local.get $w)))
        (local.set $w1 (v128.load8x8_s offset=40 (local.get $w)))
        (local.set $v (v128.load32_splat offset=8 (local.get $a0)))
        (local.set $c00 (i32x4.add (local.get $c00) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c01 (i32x4.add (local.get $c01) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a1)))
        (local.set $c10 (i32x4.add (local.get $c10) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c11 (i32x4.add (local.get $c11) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a2)))
        (local.set $c20 (i32x4.add (local.get $c20) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c21 (i32x4.add (local.get $c21) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a3)))
        (local.set $c30 (i32x4.add (local.get $c30) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c31 (i32x4.add (local.get $c31) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $w0 (v128.load8x8_s offset=48 (local.get $w)))
        (local.set $w1 (v128.load8x8_s offset=56 (local.get $w)))
        (local.set $v (v128.load32_splat offset=12 (local.get $a0)))
        (local.set $c00 (i32x4.add (local.get $c00) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c01 (i32x4.add (local.get $c01) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a1)))
        (local.set $c10 (i32x4.add (local.get $c10) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c11 (i32x4.add (local.get $c11) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a2)))
        (local.set $c20 (i32x4.add (local.get $c20) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c21 (i32x4.add (local.get $c21) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a3)))
        (local.set $c30 (i32x4.add (local.get $c30) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c31 (i32x4.add (local.get $c31) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $a0 (i32.add (local.get $a0) (i32.const 16)))
        (local.set $a1 (i32.add (local.get $a1) (i32.const 16)))
        (local.set $a2 (i32.add (local.get $a2) (i32.const 16)))
        (local.set $a3 (i32.add (local.get $a3) (i32.const 16)))
        (local.set $w (i32.add (local.get $w) (i32.const 64)))
        (br $eights)))
    (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
    (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))

  ;; c[r] += Σ a[r]·w over the depths from a0 up to `end`, eight at a time; weights int16.
  (func $dot4x8_w16! (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32) (param $w i32) (param $end i32)
                 (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                 (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                 (result v128 v128 v128 v128 v128 v128 v128 v128)
    (local $w0 v128) (local $w1 v128) (local $v v128)
    (block $done
      (loop $eights
        (br_if $done (i32.ge_u (local.get $a0) (local.get $end)))
        (local.set $w0 (v128.load (local.get $w)))
        (local.set $w1 (v128.load offset=16 (local.get $w)))
        (local.set $v (v128.load32_splat (local.get $a0)))
        (local.set $c00 (i32x4.add (local.get $c00) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c01 (i32x4.add (local.get $c01) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat (local.get $a1)))
        (local.set $c10 (i32x4.add (local.get $c10) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c11 (i32x4.add (local.get $c11) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat (local.get $a2)))
        (local.set $c20 (i32x4.add (local.get $c20) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c21 (i32x4.add (local.get $c21) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat (local.get $a3)))
        (local.set $c30 (i32x4.add (local.get $c30) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c31 (i32x4.add (local.get $c31) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $w0 (v128.load offset=32 (local.get $w)))
        (local.set $w1 (v128.load offset=48 (local.get $w)))
        (local.set $v (v128.load32_splat offset=4 (local.get $a0)))
        (local.set $c00 (i32x4.add (local.get $c00) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c01 (i32x4.add (local.get $c01) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a1)))
        (local.set $c10 (i32x4.add (local.get $c10) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c11 (i32x4.add (local.get $c11) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a2)))
        (local.set $c20 (i32x4.add (local.get $c20) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c21 (i32x4.add (local.get $c21) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a3)))
        (local.set $c30 (i32x4.add (local.get $c30) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c31 (i32x4.add (local.get $c31) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $w0 (v128.load offset=64 (local.get $w)))
        (local.set $w1 (v128.load offset=80 (local.get $w)))
        (local.set $v (v128.load32_splat offset=8 (local.get $a0)))
        (local.set $c00 (i32x4.add (local.get $c00) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c01 (i32x4.add (local.get $c01) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a1)))
        (local.set $c10 (i32x4.add (local.get $c10) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c11 (i32x4.add (local.get $c11) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a2)))
        (local.set $c20 (i32x4.add (local.get $c20) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c21 (i32x4.add (local.get $c21) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a3)))
        (local.set $c30 (i32x4.add (local.get $c30) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c31 (i32x4.add (local.get $c31) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $w0 (v128.load offset=96 (local.get $w)))
        (local.set $w1 (v128.load offset=112 (local.get $w)))
        (local.set $v (v128.load32_splat offset=12 (local.get $a0)))
        (local.set $c00 (i32x4.add (local.get $c00) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c01 (i32x4.add (local.get $c01) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a1)))
        (local.set $c10 (i32x4.add (local.get $c10) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c11 (i32x4.add (local.get $c11) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a2)))
        (local.set $c20 (i32x4.add (local.get $c20) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c21 (i32x4.add (local.get $c21) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a3)))
        (local.set $c30 (i32x4.add (local.get $c30) (i32x4.dot_i16x8_s (local.get $v) (local.get $w0))))
        (local.set $c31 (i32x4.add (local.get $c31) (i32x4.dot_i16x8_s (local.get $v) (local.get $w1))))
        (local.set $a0 (i32.add (local.get $a0) (i32.const 16)))
        (local.set $a1 (i32.add (local.get $a1) (i32.const 16)))
        (local.set $a2 (i32.add (local.get $a2) (i32.const 16)))
        (local.set $a3 (i32.add (local.get $a3) (i32.const 16)))
        (local.set $w (i32.add (local.get $w) (i32.const 128)))
        (br $eights)))
    (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
    (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))
)
