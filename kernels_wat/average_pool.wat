;; average_pool — y[n,oh,ow,c] = (Σ taps of the window inside x) / count
;; Order     acc = +0; taps (kh, kw) ascending: acc = acc + x; then one division by the count as f32
(module
  (func $avgpool_op! (param $a v128) (param $b v128) (result v128)
    (f32x4.add (local.get $a) (local.get $b)))

  (func $avgpool_finish! (param $acc v128) (param $count i32) (result v128)
    (f32x4.div (local.get $acc) (f32x4.splat (f32.convert_i32_u (local.get $count)))))

  (func $avgpool_window! (param $y i32) (param $p i32) (param $ny i32) (param $nx i32) (param $dy i32) (param $dx i32)
                         (param $count i32) (param $rest i32) (param $q i32)
    (call $window_f32! (ref.func $avgpool_op!) (ref.func $avgpool_finish!) (i32.const 0)
      (local.get $y) (local.get $p) (local.get $ny) (local.get $nx) (local.get $dy) (local.get $dx)
      (local.get $count) (local.get $rest)))

  (@kernel "f32_avgpool" (call $pool_f32! (ref.func $avgpool_window!)))
)
