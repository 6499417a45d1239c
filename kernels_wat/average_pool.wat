;; average_pool — y[n,oh,ow,c] = (Σ taps of the window inside x) / count
;; Order     acc = +0; taps (kh, kw) ascending: acc = acc + x; then one division by the count as f32
;; Count     taps in the rows ct ≤ row < cb and the columns cl ≤ column < cr, which may include padding
(module
  (func $avgpool_op! (param $a v128) (param $b v128) (result v128)
    (f32x4.add (local.get $a) (local.get $b)))

  (func $avgpool_finish! (param $acc v128) (param $count i32) (result v128)
    (f32x4.div (local.get $acc) (f32x4.splat (f32.convert_i32_u (local.get $count)))))

  (@kernel "f32_avgpool" (call $pool! (ref.func $avgpool_op!) (ref.func $avgpool_finish!) (i32.const 0)))
)
