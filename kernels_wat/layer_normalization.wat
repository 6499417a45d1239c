;; layer_normalization — y[r,i] = madd((x[r,i] − mean)·r, scale[i], b[i]) over rows of n elements
;; mean = Σi x / n; r = 1 / √(Σi (x − mean)² / n + eps)
;; Order     lane sums as in reduce_sum; every other operation rounds once
;; Writes    rows m0 ≤ r < m1; reads up to 12 bytes past x, scale and b · y = x allowed
(module
  ;; 1 / √(squares / n + eps).
  (func $inverse_deviation! (param $squares v128) (param $n v128) (param $eps f32) (result v128)
    (f32x4.div (f32x4.splat (f32.const 1))
      (f32x4.sqrt
        (f32x4.add (f32x4.div (local.get $squares) (local.get $n)) (f32x4.splat (local.get $eps))))))

  (func $normalised! (param $x v128) (param $center v128) (param $inverse v128) (param $scale v128) (param $b v128)
                     (result v128)
    (call $madd!
      (f32x4.mul (f32x4.sub (local.get $x) (local.get $center)) (local.get $inverse))
      (local.get $scale) (local.get $b)))

  ;; Rows go by fours, the last ones alone.
  (func $f32_layernorm (export "f32_layernorm")
    (param $y i32) (param $x i32) (param $scale i32) (param $b i32) (param $eps f32)
    (param $n i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $p i32) (local $rest i32) (local $row i32)
    (local $px i32) (local $px1 i32) (local $px2 i32) (local $px3 i32)
    (local $py i32) (local $py1 i32) (local $py2 i32) (local $py3 i32)
    (local $vn v128) (local $center v128) (local $inverse v128) (local $vs v128) (local $vb v128)
    (local $c0 v128) (local $c1 v128) (local $c2 v128) (local $c3 v128)
    (local $r0 v128) (local $r1 v128) (local $r2 v128) (local $r3 v128)
    (local.set $row (i32.shl (local.get $n) (i32.const 2)))
    (local.set $vn (f32x4.splat (f32.convert_i32_u (local.get $n))))
    (local.set $m (local.get $m0))
    (block $fours_done
      (br_if $fours_done (i32.eqz (local.get $n)))
      (loop $fours
        (br_if $fours_done (i32.gt_u (i32.add (local.get $m) (i32.const 4)) (local.get $m1)))
        (local.set $p (i32.mul (local.get $m) (local.get $row)))
        (local.set $px (i32.add (local.get $x) (local.get $p)))
        (local.set $py (i32.add (local.get $y) (local.get $p)))
        (local.set $center
          (f32x4.div
            (call $sum_rows! (ref.func $first!) (local.get $px) (local.get $n) (local.get $vn))
            (local.get $vn)))
        (local.set $inverse
          (call $inverse_deviation!
            (call $sum_rows! (ref.func $squared_difference!) (local.get $px) (local.get $n) (local.get $center))
            (local.get $vn) (local.get $eps)))
        (local.set $c0 (call $lane_0! (local.get $center)))
        (local.set $c1 (call $lane_1! (local.get $center)))
        (local.set $c2 (call $lane_2! (local.get $center)))
        (local.set $c3 (call $lane_3! (local.get $center)))
        (local.set $r0 (call $lane_0! (local.get $inverse)))
        (local.set $r1 (call $lane_1! (local.get $inverse)))
        (local.set $r2 (call $lane_2! (local.get $inverse)))
        (local.set $r3 (call $lane_3! (local.get $inverse)))
        (local.set $px1 (i32.add (local.get $px) (local.get $row)))
        (local.set $py1 (i32.add (local.get $py) (local.get $row)))
        (local.set $px2 (i32.add (local.get $px1) (local.get $row)))
        (local.set $py2 (i32.add (local.get $py1) (local.get $row)))
        (local.set $px3 (i32.add (local.get $px2) (local.get $row)))
        (local.set $py3 (i32.add (local.get $py2) (local.get $row)))
        (local.set $p (i32.const 0))
        (local.set $rest (local.get $n))
        (loop $vectors
          (local.set $vs (v128.load (i32.add (local.get $scale) (local.get $p))))
          (local.set $vb (v128.load (i32.add (local.get $b) (local.get $p))))
          (call $store_x32! (i32.add (local.get $py) (local.get $p))
            (call $normalised! (v128.load (i32.add (local.get $px) (local.get $p)))
              (local.get $c0) (local.get $r0) (local.get $vs) (local.get $vb))
            (local.get $rest))
          (call $store_x32! (i32.add (local.get $py1) (local.get $p))
            (call $normalised! (v128.load (i32.add (local.get $px1) (local.get $p)))
              (local.get $c1) (local.get $r1) (local.get $vs) (local.get $vb))
            (local.get $rest))
          (call $store_x32! (i32.add (local.get $py2) (local.get $p))
            (call $normalised! (v128.load (i32.add (local.get $px2) (local.get $p)))
              (local.get $c2) (local.get $r2) (local.get $vs) (local.get $vb))
            (local.get $rest))
          (call $store_x32! (i32.add (local.get $py3) (local.get $p))
            (call $normalised! (v128.load (i32.add (local.get $px3) (local.get $p)))
              (local.get $c3) (local.get $r3) (local.get $vs) (local.get $vb))
            (local.get $rest))
          (local.set $p (i32.add (local.get $p) (i32.const 16)))
          (br_if $vectors
            (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 4))) (i32.const 0))))
        (local.set $m (i32.add (local.get $m) (i32.const 4)))
        (br $fours)))
    (block $done
      (br_if $done (i32.eqz (local.get $n)))
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $p (i32.mul (local.get $m) (local.get $row)))
        (local.set $px (i32.add (local.get $x) (local.get $p)))
        (local.set $py (i32.add (local.get $y) (local.get $p)))
        (local.set $center
          (f32x4.div
            (f32x4.splat (call $sum_row! (ref.func $first!) (local.get $px) (local.get $n) (local.get $vn)))
            (local.get $vn)))
        (local.set $inverse
          (call $inverse_deviation!
            (f32x4.splat
              (call $sum_row! (ref.func $squared_difference!) (local.get $px) (local.get $n) (local.get $center)))
            (local.get $vn) (local.get $eps)))
        (local.set $p (i32.const 0))
        (local.set $rest (local.get $n))
        (loop $vectors
          (call $store_x32! (i32.add (local.get $py) (local.get $p))
            (call $normalised! (v128.load (i32.add (local.get $px) (local.get $p)))
              (local.get $center) (local.get $inverse)
              (v128.load (i32.add (local.get $scale) (local.get $p)))
              (v128.load (i32.add (local.get $b) (local.get $p))))
            (local.get $rest))
          (local.set $p (i32.add (local.get $p) (i32.const 16)))
          (br_if $vectors
            (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 4))) (i32.const 0))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $rows))))
)
