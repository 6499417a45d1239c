;; lib_quant — integer tiles and their way back to eight bits
;;
;; Eight-bit tensors are handled as int8: the sign bit of uint8 is flipped on the way in and out (`flip` 0x80… or 0), which
;; moves numbers and zero points by 128. Sums are int32 and wrap.
(module
  ;; nearest(v) − base as integers, ties to even. |v| < 2²², so that adding 1.5·2²³ rounds once and leaves the integer in
  ;; the low bits; base = 0x4b400000 − zero point.
  (func $nearest_x32! (param $v v128) (param $base v128) (result v128)
    (i32x4.sub (f32x4.add (local.get $v) (f32x4.splat (f32.const 0x1.8p23))) (local.get $base)))

  ;; The same after a clamp to whole numbers that makes any v fit.
  (func $round_x32! (param $v v128) (param $lo v128) (param $hi v128) (param $base v128) (result v128)
    (call $nearest_x32! (call $clamp! (local.get $v) (local.get $lo) (local.get $hi)) (local.get $base)))

  ;; The `base` of $nearest_x32!.
  (func $base! (param $zero i32) (result v128)
    (i32x4.splat (i32.sub (i32.const 0x4b400000) (local.get $zero))))

  ;; Bytes of a sign flip in all lanes.
  (func $flip! (param $f i32) (result v128) (i8x16.splat (local.get $f)))

  ;; The sign flip of bytes that are int16 already: x ^ 0x80 as bytes is x ^ 0xff80 once they are widened.
  (func $flip16! (param $f i32) (result v128) (i16x8.splat (i32.sub (i32.const 0) (local.get $f))))

  ;; Bounds and the sign flip of results, in memory, since few kernels have registers left for them, and few results need
  ;; them: the lower bound at `p`, the upper one at p + 16, the flip at p + 32.
  (func $keep_bounds! (param $bound (ref $bound)) (param $p i32)
                      (param $lo f32) (param $hi f32) (param $zero i32) (param $flip i32)
    (v128.store (local.get $p) (call_ref $bound (local.get $lo) (local.get $zero) (local.get $bound)))
    (v128.store offset=16 (local.get $p) (call_ref $bound (local.get $hi) (local.get $zero) (local.get $bound)))
    (v128.store offset=32 (local.get $p) (call $flip! (local.get $flip))))

  ;; How eight sums become int16: two vectors of sums and of multipliers, bounds, base.
  (type $requantize (func (param v128 v128 v128 v128 i32 v128) (result v128)))
  ;; What becomes of the bytes then: the vector and its bounds.
  (type $clip (func (param v128 i32) (result v128)))
  ;; A bound before the zero point is added, and the zero point, as the vector that goes with it.
  (type $bound (func (param f32 i32) (result v128)))

  ;; For any multipliers: clamp, then round.
  (func $requantize_any! (param $v0 v128) (param $v1 v128) (param $s0 v128) (param $s1 v128)
                         (param $bounds i32) (param $base v128) (result v128)
    (i16x8.narrow_i32x4_s
      (call $round_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $v0)) (local.get $s0))
        (v128.load (local.get $bounds)) (v128.load offset=16 (local.get $bounds)) (local.get $base))
      (call $round_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $v1)) (local.get $s1))
        (v128.load (local.get $bounds)) (v128.load offset=16 (local.get $bounds)) (local.get $base))))
  (func $clip_any! (param $v v128) (param $bounds i32) (result v128)
    (v128.xor (local.get $v) (v128.load offset=32 (local.get $bounds))))
  (func $bound_any! (param $b f32) (param $zero i32) (result v128) (f32x4.splat (local.get $b)))

  ;; Where products with multipliers are known to be below 2²²: round, saturate, then clamp, which gives the same in fewer
  ;; steps.
  (func $requantize_small! (param $v0 v128) (param $v1 v128) (param $s0 v128) (param $s1 v128)
                           (param $bounds i32) (param $base v128) (result v128)
    (i16x8.narrow_i32x4_s
      (call $nearest_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $v0)) (local.get $s0)) (local.get $base))
      (call $nearest_x32! (f32x4.mul (f32x4.convert_i32x4_s (local.get $v1)) (local.get $s1)) (local.get $base))))
  (func $clip_small! (param $v v128) (param $bounds i32) (result v128)
    (v128.xor
      (i8x16.min_s
        (i8x16.max_s (local.get $v) (v128.load (local.get $bounds)))
        (v128.load offset=16 (local.get $bounds)))
      (v128.load offset=32 (local.get $bounds))))
  (func $bound_small! (param $b f32) (param $zero i32) (result v128)
    (i8x16.splat (i32.add (i32.trunc_sat_f32_s (local.get $b)) (local.get $zero))))

  ;; Whether bytes change once they are saturated: a bound or a sign flip.
  (func $touch! (param $lo f32) (param $hi f32) (param $zy i32) (param $fy i32) (result i32)
    (i32.or
      (local.get $fy)
      (i32.or
        (i32.ne (i32.add (i32.trunc_sat_f32_s (local.get $lo)) (local.get $zy)) (i32.const -128))
        (i32.ne (i32.add (i32.trunc_sat_f32_s (local.get $hi)) (local.get $zy)) (i32.const 127)))))

  ;; Store the first min(cols, 8) bytes of v; cols ≥ 1.
  (func $store8_x8! (param $y i32) (param $v v128) (param $cols i32)
    (if (i32.ge_u (local.get $cols) (i32.const 8))
      (then (i64.store (local.get $y) (i64x2.extract_lane 0 (local.get $v))))
      (else (call $store_x8! (local.get $y) (local.get $v) (local.get $cols)))))

  ;; Finish one row of eight sums. s: eight multipliers, the result bytes; s = 0: the result is the sums themselves.
  (func $finish_row8! (param $requantize (ref $requantize)) (param $clip (ref $clip))
                      (param $y i32) (param $v0 v128) (param $v1 v128) (param $s i32)
                      (param $bounds i32) (param $base v128) (param $cols i32)
    (local $t v128)
    (if (local.get $s)
      (then
        (local.set $t
          (call_ref $requantize
            (local.get $v0) (local.get $v1) (v128.load (local.get $s)) (v128.load offset=16 (local.get $s))
            (local.get $bounds) (local.get $base) (local.get $requantize)))
        (call $store8_x8! (local.get $y)
          (call_ref $clip
            (i8x16.narrow_i16x8_s (local.get $t) (local.get $t)) (local.get $bounds) (local.get $clip))
          (local.get $cols)))
      (else
        (call $store_x32! (local.get $y) (local.get $v0) (local.get $cols))
        (if (i32.gt_u (local.get $cols) (i32.const 4))
          (then
            (call $store_x32! (i32.add (local.get $y) (i32.const 16)) (local.get $v1)
              (i32.sub (local.get $cols) (i32.const 4))))))))

  ;; The first min(rows, 4) rows of a 4×8 tile; whole: whether these are four, cols at least 8 and s not 0.
  ;; `spill`: 128 bytes to be written, the bounds behind them.
  (func $finish_tile4x8! (param $requantize (ref $requantize)) (param $clip (ref $clip))
                         (param $whole i32) (param $y i32) (param $ld i32)
                         (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                         (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                         (param $s i32) (param $base v128)
                         (param $cols i32) (param $rows i32) (param $spill i32) (param $touch i32)
    (local $py i32) (local $end i32) (local $bounds i32) (local $s0 v128) (local $s1 v128)
    (local $t0 v128) (local $t1 v128) (local $t2 v128) (local $t3 v128)
    (local.set $bounds (i32.add (local.get $spill) (i32.const 128)))
    (if (local.get $whole)
      (then
        (local.set $s0 (v128.load (local.get $s)))
        (local.set $s1 (v128.load offset=16 (local.get $s)))
        (local.set $t0
          (call_ref $requantize (local.get $c00) (local.get $c01) (local.get $s0) (local.get $s1)
            (local.get $bounds) (local.get $base) (local.get $requantize)))
        (local.set $t1
          (call_ref $requantize (local.get $c10) (local.get $c11) (local.get $s0) (local.get $s1)
            (local.get $bounds) (local.get $base) (local.get $requantize)))
        (local.set $t2
          (call_ref $requantize (local.get $c20) (local.get $c21) (local.get $s0) (local.get $s1)
            (local.get $bounds) (local.get $base) (local.get $requantize)))
        (local.set $t3
          (call_ref $requantize (local.get $c30) (local.get $c31) (local.get $s0) (local.get $s1)
            (local.get $bounds) (local.get $base) (local.get $requantize)))
        (local.set $t0 (i8x16.narrow_i16x8_s (local.get $t0) (local.get $t1)))
        (local.set $t2 (i8x16.narrow_i16x8_s (local.get $t2) (local.get $t3)))
        (if (local.get $touch)
          (then
            (local.set $t0 (call_ref $clip (local.get $t0) (local.get $bounds) (local.get $clip)))
            (local.set $t2 (call_ref $clip (local.get $t2) (local.get $bounds) (local.get $clip)))))
        (v128.store64_lane 0 (local.get $y) (local.get $t0))
        (local.set $py (i32.add (local.get $y) (local.get $ld)))
        (v128.store64_lane 1 (local.get $py) (local.get $t0))
        (local.set $py (i32.add (local.get $py) (local.get $ld)))
        (v128.store64_lane 0 (local.get $py) (local.get $t2))
        (v128.store64_lane 1 (i32.add (local.get $py) (local.get $ld)) (local.get $t2)))
      (else
        (v128.store (local.get $spill) (local.get $c00)) (v128.store offset=16 (local.get $spill) (local.get $c01))
        (v128.store offset=32 (local.get $spill) (local.get $c10)) (v128.store offset=48 (local.get $spill) (local.get $c11))
        (v128.store offset=64 (local.get $spill) (local.get $c20)) (v128.store offset=80 (local.get $spill) (local.get $c21))
        (v128.store offset=96 (local.get $spill) (local.get $c30)) (v128.store offset=112 (local.get $spill) (local.get $c31))
        (local.set $py (local.get $y))
        (local.set $end
          (i32.add (local.get $spill) (i32.shl (call $min_u! (local.get $rows) (i32.const 4)) (i32.const 5))))
        (loop $rows_left
          (call $finish_row8! (local.get $requantize) (local.get $clip) (local.get $py)
            (v128.load (local.get $spill)) (v128.load offset=16 (local.get $spill)) (local.get $s)
            (local.get $bounds) (local.get $base) (local.get $cols))
          (local.set $py (i32.add (local.get $py) (local.get $ld)))
          (br_if $rows_left
            (i32.lt_u (local.tee $spill (i32.add (local.get $spill) (i32.const 32))) (local.get $end)))))))

  ;; Four rows of k8 bytes at p0 … p3 as int16, signs flipped: for each pair of depths the pairs of the four rows.
  (func $interleave! (param $to i32) (param $p0 i32) (param $p1 i32) (param $p2 i32) (param $p3 i32) (param $k8 i32)
                     (param $flip v128)
    (local $end i32) (local $t0 v128) (local $t1 v128) (local $t2 v128) (local $t3 v128)
    (local.set $end (i32.add (local.get $p0) (local.get $k8)))
    (block $done
      (loop $eights
        (br_if $done (i32.ge_u (local.get $p0) (local.get $end)))
        (local.set $t0 (local.set $t1 (local.set $t2 (local.set $t3
          (call $transposed!
            (v128.xor (v128.load8x8_s (local.get $p0)) (local.get $flip))
            (v128.xor (v128.load8x8_s (local.get $p1)) (local.get $flip))
            (v128.xor (v128.load8x8_s (local.get $p2)) (local.get $flip))
            (v128.xor (v128.load8x8_s (local.get $p3)) (local.get $flip)))))))
        (v128.store (local.get $to) (local.get $t0))
        (v128.store offset=16 (local.get $to) (local.get $t1))
        (v128.store offset=32 (local.get $to) (local.get $t2))
        (v128.store offset=48 (local.get $to) (local.get $t3))
        (local.set $p0 (i32.add (local.get $p0) (i32.const 8)))
        (local.set $p1 (i32.add (local.get $p1) (i32.const 8)))
        (local.set $p2 (i32.add (local.get $p2) (i32.const 8)))
        (local.set $p3 (i32.add (local.get $p3) (i32.const 8)))
        (local.set $to (i32.add (local.get $to) (i32.const 64)))
        (br $eights))))

  ;; Blocks: r rows that are computed together, a multiple of four. Their scratch, for k8 depths: tiles of four interleaved
  ;; rows, one panel as int16 (before that, four rows of bytes), 128 bytes for the sums of tiles that are cut off, 48 for bounds.
  (func $block_panel! (param $place i32) (param $r i32) (param $k8 i32) (result i32)
    (i32.add (local.get $place) (i32.shl (i32.mul (local.get $r) (local.get $k8)) (i32.const 1))))
  (func $block_bytes! (param $r i32) (param $k8 i32) (result i32)
    (i32.add
      (i32.mul (local.get $k8) (i32.add (i32.shl (local.get $r) (i32.const 1)) (i32.const 16))) (i32.const 176)))

  ;; The interleaved rows of a block times all panels: y = finish(b + Σ a·w), the first n columns of the first `rows` rows.
  ;; w: panels of k8/2 pairs of depths by eight filters, int8 or int16 (wide) · b, s: padded to eight; s may be 0
  ;; lonely: whether calls of one row are to be fast · fours: whether rows are interleaved by fours of bytes, see lib_dot4
  ;; v128      8 acc + 2 w + 1 a + 1 product = 12 of 16
  ;;
  ;;             w0   w1    eight filters
  ;;    a0 ─▶   c00  c01
  ;;    a1 ─▶   c10  c11
  ;;    a2 ─▶   c20  c21
  ;;    a3 ─▶   c30  c31
  (func $panels! (param $requantize (ref $requantize)) (param $clip (ref $clip)) (param $bound (ref $bound))
                 (param $wide i32) (param $lonely i32) (param $fours i32) (param $flip4 i32)
                 (param $y i32) (param $ld i32) (param $place i32) (param $panel i32)
                 (param $w i32) (param $b i32) (param $s i32)
                 (param $lo f32) (param $hi f32) (param $zy i32) (param $fy i32)
                 (param $k i32) (param $k8 i32) (param $n i32) (param $rows i32)
    (local $pw i32) (local $pb i32) (local $ps i32) (local $py i32) (local $a i32) (local $end i32) (local $spill i32)
    (local $left i32) (local $size i32) (local $tile i32) (local $single i32) (local $last i32)
    (local $dy i32) (local $ds i32)
    (local $touch i32) (local $whole i32) (local $used i32) (local $start i32) (local $base v128)
    (local $c00 v128) (local $c01 v128) (local $c10 v128) (local $c11 v128)
    (local $c20 v128) (local $c21 v128) (local $c30 v128) (local $c31 v128)
    (local.set $pw (local.get $w))
    (local.set $pb (local.get $b))
    (local.set $ps (local.get $s))
    (local.set $size (i32.shl (local.get $k8) (i32.const 3)))
    (local.set $tile (local.get $size))
    (local.set $used
      (i32.and (i32.shl (i32.add (local.get $k) (i32.const 3)) (i32.const 3)) (i32.const -32)))
    (if (i32.and (call $multiplies_bytes! (local.get $wide)) (local.get $fours))
      (then
        (local.set $tile (i32.shr_u (local.get $tile) (i32.const 1)))
        (local.set $used (i32.shr_u (local.get $used) (i32.const 1)))))
    (local.set $spill (i32.add (local.get $panel) (i32.shl (local.get $size) (i32.const 1))))
    (call $keep_bounds! (local.get $bound) (i32.add (local.get $spill) (i32.const 128))
      (local.get $lo) (local.get $hi) (local.get $zy) (local.get $fy))
    (local.set $base (call $base! (local.get $zy)))
    (local.set $touch (call $touch! (local.get $lo) (local.get $hi) (local.get $zy) (local.get $fy)))
    (local.set $dy (select (i32.const 8) (i32.const 32) (local.get $s)))
    (local.set $ds (select (i32.const 32) (i32.const 0) (local.get $s)))
    (local.set $single (i32.eq (local.get $rows) (i32.const 1)))
    ;; Engines that add an offset to the base of memory for every such load do it here once for all loops.
    (drop (v128.load32_splat offset=4 (local.get $place)))
    (drop (v128.load32_splat offset=8 (local.get $place)))
    (drop (v128.load32_splat offset=12 (local.get $place)))
    (loop $columns
      (local.set $start (local.get $pb))
      (if (i32.eq (local.get $wide) (i32.const 1))
        (then (local.set $panel (local.get $pw))))
      (if (i32.and (call $multiplies_bytes! (local.get $wide)) (local.get $fours))
        (then
          (local.set $start (i32.add (local.get $panel) (local.get $size)))
          (call $panel_of_fours! (local.get $panel) (local.get $start) (local.get $pw) (local.get $pb) (local.get $flip4))))
      (local.set $a (local.get $place))
      (local.set $py (local.get $y))
      (local.set $left (local.get $rows))
      ;; How many rows have to be left for a tile to be whole.
      (local.set $whole
        (select (i32.const 4) (i32.const 0x7fffffff)
          (i32.and (i32.ge_s (local.get $n) (i32.const 8)) (i32.ne (local.get $s) (i32.const 0)))))
      (loop $tiles
        (local.set $c00 (v128.load (local.get $start)))
        (local.set $c01 (v128.load offset=16 (local.get $start)))
        (local.set $c10 (local.get $c00)) (local.set $c11 (local.get $c01))
        (local.set $c20 (local.get $c00)) (local.set $c21 (local.get $c01))
        (local.set $c30 (local.get $c00)) (local.set $c31 (local.get $c01))
        (local.set $end (i32.add (local.get $a) (local.get $tile)))
        (block $summed
          (if (i32.and (call $multiplies_bytes! (local.get $wide)) (local.get $fours))
            (then
              (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
              (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                (call $fours4x8! (local.get $a) (local.get $panel) (i32.add (local.get $a) (local.get $used))
                  (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                  (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))
              (br $summed)))
          (if (i32.ne (local.get $wide) (i32.const 1))
            (then
              (if (i32.eq (local.get $a) (local.get $place))
                (then
                  (if (i32.and (local.get $lonely) (local.get $single))
                    (then
                      (local.set $c00 (local.set $c01
                        (call $dot1x8! (ref.func $widened!) (i32.const 8) (local.get $a) (local.get $pw) (local.get $end)
                          (local.get $c00) (local.get $c01)))))
                    (else
                      (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
                      (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                        (call $dot4x8_widening! (local.get $a) (local.get $pw) (local.get $panel) (local.get $end)
                          (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                          (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))))
                  (br $summed)))))
          (local.set $last (i32.eq (local.get $left) (i32.const 1)))
          (if (i32.and (i32.or (local.get $lonely) (i32.eqz (local.get $wide))) (local.get $last))
            (then
              (local.set $c00 (local.set $c01
                (call $dot1x8! (ref.func $whole!) (i32.const 16) (local.get $a) (local.get $panel) (local.get $end)
                  (local.get $c00) (local.get $c01)))))
            (else
              (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
              (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                (call $dot4x8! (local.get $a) (local.get $panel) (i32.add (local.get $a) (local.get $used))
                  (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                  (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)))))))))))))
        (call $finish_tile4x8! (local.get $requantize) (local.get $clip)
          (i32.ge_s (local.get $left) (local.get $whole)) (local.get $py) (local.get $ld)
          (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
          (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
          (local.get $ps) (local.get $base) (local.get $n) (local.get $left) (local.get $spill) (local.get $touch))
        (local.set $a (local.get $end))
        (local.set $py (i32.add (local.get $py) (i32.shl (local.get $ld) (i32.const 2))))
        (br_if $tiles
          (i32.gt_s (local.tee $left (i32.sub (local.get $left) (i32.const 4))) (i32.const 0))))
      (local.set $pw (i32.add (local.get $pw) (i32.shl (local.get $size) (local.get $wide))))
      (local.set $pb (i32.add (local.get $pb) (i32.const 32)))
      (local.set $y (i32.add (local.get $y) (local.get $dy)))
      (local.set $ps (i32.add (local.get $ps) (local.get $ds)))
      (br_if $columns
        (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 8))) (i32.const 0)))))

  ;; c[r] += Σ a[r]·w over the depths from a up to `end`, four at a time.
  (func $dot4x8! (param $a i32) (param $w i32) (param $end i32)
                 (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                 (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                 (result v128 v128 v128 v128 v128 v128 v128 v128)
    (local $w0 v128) (local $w1 v128) (local $u0 v128) (local $v0 v128) (local $u1 v128) (local $v1 v128)
    (block $done
      (br_if $done (i32.ge_u (local.get $a) (local.get $end)))
      (loop $fours
        (local.set $w0 (v128.load offset=0 (local.get $w)))
        (local.set $w1 (v128.load offset=16 (local.get $w)))
        (local.set $v0 (v128.load32_splat offset=0 (local.get $a)))
        (local.set $u0 (i32x4.dot_i16x8_s (local.get $v0) (local.get $w0)))
        (local.set $v0 (i32x4.dot_i16x8_s (local.get $v0) (local.get $w1)))
        (local.set $v1 (v128.load32_splat offset=4 (local.get $a)))
        (local.set $u1 (i32x4.dot_i16x8_s (local.get $v1) (local.get $w0)))
        (local.set $v1 (i32x4.dot_i16x8_s (local.get $v1) (local.get $w1)))
        (local.set $c00 (i32x4.add (local.get $c00) (local.get $u0)))
        (local.set $c01 (i32x4.add (local.get $c01) (local.get $v0)))
        (local.set $v0 (v128.load32_splat offset=8 (local.get $a)))
        (local.set $u0 (i32x4.dot_i16x8_s (local.get $v0) (local.get $w0)))
        (local.set $v0 (i32x4.dot_i16x8_s (local.get $v0) (local.get $w1)))
        (local.set $c10 (i32x4.add (local.get $c10) (local.get $u1)))
        (local.set $c11 (i32x4.add (local.get $c11) (local.get $v1)))
        (local.set $v1 (v128.load32_splat offset=12 (local.get $a)))
        (local.set $u1 (i32x4.dot_i16x8_s (local.get $v1) (local.get $w0)))
        (local.set $v1 (i32x4.dot_i16x8_s (local.get $v1) (local.get $w1)))
        (local.set $c20 (i32x4.add (local.get $c20) (local.get $u0)))
        (local.set $c21 (i32x4.add (local.get $c21) (local.get $v0)))
        (local.set $a (i32.add (local.get $a) (i32.const 16)))
        (local.set $w0 (v128.load offset=32 (local.get $w)))
        (local.set $w1 (v128.load offset=48 (local.get $w)))
        (local.set $v0 (v128.load32_splat offset=0 (local.get $a)))
        (local.set $u0 (i32x4.dot_i16x8_s (local.get $v0) (local.get $w0)))
        (local.set $v0 (i32x4.dot_i16x8_s (local.get $v0) (local.get $w1)))
        (local.set $c30 (i32x4.add (local.get $c30) (local.get $u1)))
        (local.set $c31 (i32x4.add (local.get $c31) (local.get $v1)))
        (local.set $v1 (v128.load32_splat offset=4 (local.get $a)))
        (local.set $u1 (i32x4.dot_i16x8_s (local.get $v1) (local.get $w0)))
        (local.set $v1 (i32x4.dot_i16x8_s (local.get $v1) (local.get $w1)))
        (local.set $c00 (i32x4.add (local.get $c00) (local.get $u0)))
        (local.set $c01 (i32x4.add (local.get $c01) (local.get $v0)))
        (local.set $v0 (v128.load32_splat offset=8 (local.get $a)))
        (local.set $u0 (i32x4.dot_i16x8_s (local.get $v0) (local.get $w0)))
        (local.set $v0 (i32x4.dot_i16x8_s (local.get $v0) (local.get $w1)))
        (local.set $c10 (i32x4.add (local.get $c10) (local.get $u1)))
        (local.set $c11 (i32x4.add (local.get $c11) (local.get $v1)))
        (local.set $v1 (v128.load32_splat offset=12 (local.get $a)))
        (local.set $u1 (i32x4.dot_i16x8_s (local.get $v1) (local.get $w0)))
        (local.set $v1 (i32x4.dot_i16x8_s (local.get $v1) (local.get $w1)))
        (local.set $c20 (i32x4.add (local.get $c20) (local.get $u0)))
        (local.set $c21 (i32x4.add (local.get $c21) (local.get $v0)))
        (local.set $c30 (i32x4.add (local.get $c30) (local.get $u1)))
        (local.set $c31 (i32x4.add (local.get $c31) (local.get $v1)))
        (local.set $w (i32.add (local.get $w) (i32.const 64)))
        (br_if $fours
          (i32.lt_u (local.tee $a (i32.add (local.get $a) (i32.const 16))) (local.get $end)))))
    (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
    (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))

  ;; The same with weights of int8, which are left at `to` as int16.
  (func $dot4x8_widening! (param $a i32) (param $w i32) (param $to i32) (param $end i32)
                 (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                 (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                 (result v128 v128 v128 v128 v128 v128 v128 v128)
    (local $w0 v128) (local $w1 v128) (local $u v128) (local $v v128)
    (block $done
      (br_if $done (i32.ge_u (local.get $a) (local.get $end)))
      (loop $fours
        (local.set $w0 (v128.load8x8_s offset=0 (local.get $w)))
        (v128.store offset=0 (local.get $to) (local.get $w0))
        (local.set $w1 (v128.load8x8_s offset=8 (local.get $w)))
        (v128.store offset=16 (local.get $to) (local.get $w1))
        (local.set $v (v128.load32_splat offset=0 (local.get $a)))
        (local.set $u (i32x4.dot_i16x8_s (local.get $v) (local.get $w0)))
        (local.set $v (i32x4.dot_i16x8_s (local.get $v) (local.get $w1)))
        (local.set $c00 (i32x4.add (local.get $c00) (local.get $u)))
        (local.set $c01 (i32x4.add (local.get $c01) (local.get $v)))
        (local.set $v (v128.load32_splat offset=4 (local.get $a)))
        (local.set $u (i32x4.dot_i16x8_s (local.get $v) (local.get $w0)))
        (local.set $v (i32x4.dot_i16x8_s (local.get $v) (local.get $w1)))
        (local.set $c10 (i32x4.add (local.get $c10) (local.get $u)))
        (local.set $c11 (i32x4.add (local.get $c11) (local.get $v)))
        (local.set $v (v128.load32_splat offset=8 (local.get $a)))
        (local.set $u (i32x4.dot_i16x8_s (local.get $v) (local.get $w0)))
        (local.set $v (i32x4.dot_i16x8_s (local.get $v) (local.get $w1)))
        (local.set $c20 (i32x4.add (local.get $c20) (local.get $u)))
        (local.set $c21 (i32x4.add (local.get $c21) (local.get $v)))
        (local.set $v (v128.load32_splat offset=12 (local.get $a)))
        (local.set $u (i32x4.dot_i16x8_s (local.get $v) (local.get $w0)))
        (local.set $v (i32x4.dot_i16x8_s (local.get $v) (local.get $w1)))
        (local.set $c30 (i32x4.add (local.get $c30) (local.get $u)))
        (local.set $c31 (i32x4.add (local.get $c31) (local.get $v)))
        (local.set $a (i32.add (local.get $a) (i32.const 16)))
        (local.set $w0 (v128.load8x8_s offset=16 (local.get $w)))
        (v128.store offset=32 (local.get $to) (local.get $w0))
        (local.set $w1 (v128.load8x8_s offset=24 (local.get $w)))
        (v128.store offset=48 (local.get $to) (local.get $w1))
        (local.set $v (v128.load32_splat offset=0 (local.get $a)))
        (local.set $u (i32x4.dot_i16x8_s (local.get $v) (local.get $w0)))
        (local.set $v (i32x4.dot_i16x8_s (local.get $v) (local.get $w1)))
        (local.set $c00 (i32x4.add (local.get $c00) (local.get $u)))
        (local.set $c01 (i32x4.add (local.get $c01) (local.get $v)))
        (local.set $v (v128.load32_splat offset=4 (local.get $a)))
        (local.set $u (i32x4.dot_i16x8_s (local.get $v) (local.get $w0)))
        (local.set $v (i32x4.dot_i16x8_s (local.get $v) (local.get $w1)))
        (local.set $c10 (i32x4.add (local.get $c10) (local.get $u)))
        (local.set $c11 (i32x4.add (local.get $c11) (local.get $v)))
        (local.set $v (v128.load32_splat offset=8 (local.get $a)))
        (local.set $u (i32x4.dot_i16x8_s (local.get $v) (local.get $w0)))
        (local.set $v (i32x4.dot_i16x8_s (local.get $v) (local.get $w1)))
        (local.set $c20 (i32x4.add (local.get $c20) (local.get $u)))
        (local.set $c21 (i32x4.add (local.get $c21) (local.get $v)))
        (local.set $v (v128.load32_splat offset=12 (local.get $a)))
        (local.set $u (i32x4.dot_i16x8_s (local.get $v) (local.get $w0)))
        (local.set $v (i32x4.dot_i16x8_s (local.get $v) (local.get $w1)))
        (local.set $c30 (i32x4.add (local.get $c30) (local.get $u)))
        (local.set $c31 (i32x4.add (local.get $c31) (local.get $v)))
        (local.set $w (i32.add (local.get $w) (i32.const 32)))
        (local.set $to (i32.add (local.get $to) (i32.const 64)))
        (br_if $fours
          (i32.lt_u (local.tee $a (i32.add (local.get $a) (i32.const 16))) (local.get $end)))))
    (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
    (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))

  ;; The first row alone, of weights that are loaded by `load`, `step` bytes a vector.
  (func $dot1x8! (param $load (ref $splat)) (param $step i32) (param $a i32) (param $w i32) (param $end i32)
                 (param $c0 v128) (param $c1 v128) (result v128 v128)
    (local $v v128) (local $u v128)
    (block $done
      (br_if $done (i32.ge_u (local.get $a) (local.get $end)))
      (loop $eights
        (local.set $v (v128.load32_splat (local.get $a)))
        (local.set $u (call_ref $splat (local.get $w) (local.get $load)))
        (local.set $c0 (i32x4.add (local.get $c0) (i32x4.dot_i16x8_s (local.get $v) (local.get $u))))
        (local.set $w (i32.add (local.get $w) (local.get $step)))
        (local.set $u (call_ref $splat (local.get $w) (local.get $load)))
        (local.set $c1 (i32x4.add (local.get $c1) (i32x4.dot_i16x8_s (local.get $v) (local.get $u))))
        (local.set $w (i32.add (local.get $w) (local.get $step)))
        (local.set $v (v128.load32_splat offset=16 (local.get $a)))
        (local.set $u (call_ref $splat (local.get $w) (local.get $load)))
        (local.set $c0 (i32x4.add (local.get $c0) (i32x4.dot_i16x8_s (local.get $v) (local.get $u))))
        (local.set $w (i32.add (local.get $w) (local.get $step)))
        (local.set $u (call_ref $splat (local.get $w) (local.get $load)))
        (local.set $c1 (i32x4.add (local.get $c1) (i32x4.dot_i16x8_s (local.get $v) (local.get $u))))
        (local.set $w (i32.add (local.get $w) (local.get $step)))
        (local.set $v (v128.load32_splat offset=32 (local.get $a)))
        (local.set $u (call_ref $splat (local.get $w) (local.get $load)))
        (local.set $c0 (i32x4.add (local.get $c0) (i32x4.dot_i16x8_s (local.get $v) (local.get $u))))
        (local.set $w (i32.add (local.get $w) (local.get $step)))
        (local.set $u (call_ref $splat (local.get $w) (local.get $load)))
        (local.set $c1 (i32x4.add (local.get $c1) (i32x4.dot_i16x8_s (local.get $v) (local.get $u))))
        (local.set $w (i32.add (local.get $w) (local.get $step)))
        (local.set $v (v128.load32_splat offset=48 (local.get $a)))
        (local.set $u (call_ref $splat (local.get $w) (local.get $load)))
        (local.set $c0 (i32x4.add (local.get $c0) (i32x4.dot_i16x8_s (local.get $v) (local.get $u))))
        (local.set $w (i32.add (local.get $w) (local.get $step)))
        (local.set $u (call_ref $splat (local.get $w) (local.get $load)))
        (local.set $c1 (i32x4.add (local.get $c1) (i32x4.dot_i16x8_s (local.get $v) (local.get $u))))
        (local.set $w (i32.add (local.get $w) (local.get $step)))
        (br_if $eights
          (i32.lt_u (local.tee $a (i32.add (local.get $a) (i32.const 64))) (local.get $end)))))
    (local.get $c0) (local.get $c1))
  (func $widened! (param $p i32) (result v128) (v128.load8x8_s (local.get $p)))
  (func $whole! (param $p i32) (result v128) (v128.load (local.get $p)))
)
