;; instance_normalization — what f32_batchnorm needs of x [outer][n][inner], whose outputs are images and channels
;; mean[m] = Σj x / n; a[m] = scale[m mod c] / √(Σj (x − mean)² / n + eps) for m = o·inner + i
;; Order     lane sums as in reduce_sum; every operation rounds once
;; Requires  m mod c is the channel: [n·c][hw][1] or [n][hw][c]
;; Writes    mean and a for m0 ≤ m < m1; reads up to 12 bytes past x and scale
(module
  (func $f32_instancenorm (export "f32_instancenorm")
    (param $mean i32) (param $a i32) (param $x i32) (param $scale i32) (param $eps f32)
    (param $c i32) (param $n i32) (param $inner i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $p i32) (local $count i32) (local $step i32)
    (local $vn v128) (local $center v128) (local $spread v128)
    (local.set $step (i32.shl (local.get $inner) (i32.const 2)))
    (local.set $vn (f32x4.splat (f32.convert_i32_u (local.get $n))))
    (local.set $m (local.get $m0))
    (block $done
      (loop $outputs
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $p
          (call $reduced! (local.get $x) (local.get $m) (local.get $n) (local.get $inner) (i32.const 4)))
        (local.set $count (i32.const 1))
        (if (i32.eq (local.get $inner) (i32.const 1))
          (then
            (local.set $center
              (f32x4.div
                (f32x4.splat (call $sum_row! (ref.func $first!) (local.get $p) (local.get $n) (local.get $vn)))
                (local.get $vn)))
            (local.set $spread
              (f32x4.splat
                (call $sum_row! (ref.func $squared_difference!) (local.get $p) (local.get $n) (local.get $center)))))
          (else
            (local.set $count
              (call $neighbours! (local.get $m) (local.get $m1) (local.get $inner) (i32.const 4)))
            (local.set $center
              (f32x4.div
                (call $sum_columns! (ref.func $first!)
                  (local.get $p) (local.get $n) (local.get $step) (local.get $vn))
                (local.get $vn)))
            (local.set $spread
              (call $sum_columns! (ref.func $squared_difference!)
                (local.get $p) (local.get $n) (local.get $step) (local.get $center)))))
        (call $store_x32!
          (i32.add (local.get $mean) (i32.shl (local.get $m) (i32.const 2)))
          (local.get $center) (local.get $count))
        (call $store_x32!
          (i32.add (local.get $a) (i32.shl (local.get $m) (i32.const 2)))
          (f32x4.div
            (v128.load
              (i32.add (local.get $scale)
                (i32.shl (i32.rem_u (local.get $m) (local.get $c)) (i32.const 2))))
            (f32x4.sqrt
              (f32x4.add (f32x4.div (local.get $spread) (local.get $vn)) (f32x4.splat (local.get $eps)))))
          (local.get $count))
        (local.set $m (i32.add (local.get $m) (local.get $count)))
        (br $outputs))))
)
