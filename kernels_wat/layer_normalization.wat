;; layer_normalization — y[r,i] = madd((x[r,i] − mean)·r, scale[i], b[i]) over rows of n elements
;; mean = Σi x / n; r = 1 / √(Σi (x − mean)² / n + eps)
;; Order     lane sums as in reduce_sum; every other operation rounds once
;; Writes    rows m0 ≤ r < m1; reads up to 12 bytes past x, scale and b · y = x allowed
(module
  (func $f32_layernorm (export "f32_layernorm")
    (param $y i32) (param $x i32) (param $scale i32) (param $b i32) (param $eps f32)
    (param $n i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $p i32) (local $rest i32) (local $px i32) (local $py i32)
    (local $vn v128) (local $center v128) (local $inverse v128)
    (local.set $vn (f32x4.splat (f32.convert_i32_u (local.get $n))))
    (local.set $m (local.get $m0))
    (block $done
      (br_if $done (i32.eqz (local.get $n)))
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $p (i32.shl (i32.mul (local.get $m) (local.get $n)) (i32.const 2)))
        (local.set $px (i32.add (local.get $x) (local.get $p)))
        (local.set $py (i32.add (local.get $y) (local.get $p)))
        (local.set $center
          (f32x4.div
            (f32x4.splat (call $sum_row! (ref.func $first!) (local.get $px) (local.get $n) (local.get $vn)))
            (local.get $vn)))
        (local.set $inverse
          (f32x4.div (f32x4.splat (f32.const 1))
            (f32x4.sqrt
              (f32x4.add
                (f32x4.div
                  (f32x4.splat
                    (call $sum_row! (ref.func $squared_difference!)
                      (local.get $px) (local.get $n) (local.get $center)))
                  (local.get $vn))
                (f32x4.splat (local.get $eps))))))
        (local.set $p (i32.const 0))
        (local.set $rest (local.get $n))
        (loop $vectors
          (call $store_x32! (i32.add (local.get $py) (local.get $p))
            (call $madd!
              (f32x4.mul
                (f32x4.sub (v128.load (i32.add (local.get $px) (local.get $p))) (local.get $center))
                (local.get $inverse))
              (v128.load (i32.add (local.get $scale) (local.get $p)))
              (v128.load (i32.add (local.get $b) (local.get $p))))
            (local.get $rest))
          (local.set $p (i32.add (local.get $p) (i32.const 16)))
          (br_if $vectors
            (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 4))) (i32.const 0))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $rows))))
)
