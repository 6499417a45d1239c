;; max_pool — y[n,oh,ow,c] = the largest tap of the window inside x; -inf or the smallest byte where there is none
;; Order     any: IEEE-754 maximum, NaN wins, +0 > -0
(module
  ;; In integers of the same order.
  (func $maxpool_op! (param $a v128) (param $x v128) (result v128)
    (i32x4.max_s (local.get $a) (call $to_ordered! (local.get $x))))
  (func $maxpool_finish! (param $acc v128) (param $count i32) (result v128)
    (call $from_ordered! (local.get $acc)))

  (func $maxpool_window! (param $y i32) (param $p i32) (param $ny i32) (param $nx i32) (param $dy i32) (param $dx i32)
                         (param $count i32) (param $rest i32) (param $q i32)
    (call $window_f32! (ref.func $maxpool_op!) (ref.func $maxpool_finish!) (i32.const 0x80000000)
      (local.get $y) (local.get $p) (local.get $ny) (local.get $nx) (local.get $dy) (local.get $dx)
      (local.get $count) (local.get $rest)))

  ;; Sixteen channels of bytes; flip: 0x80 for uint8, 0 for int8.
  (func $maxpool_bytes! (param $y i32) (param $p i32) (param $ny i32) (param $nx i32) (param $dy i32) (param $dx i32)
                        (param $count i32) (param $rest i32) (param $flip i32)
    (local $tap i32) (local $taps i32) (local $acc v128) (local $signs v128)
    (local.set $signs (call $flip! (local.get $flip)))
    (local.set $acc (i8x16.splat (i32.const 0x80)))
    (block $done
      (br_if $done (i32.eqz (local.get $nx)))
      (loop $rows
        (br_if $done (i32.eqz (local.get $ny)))
        (local.set $tap (local.get $p))
        (local.set $taps (local.get $nx))
        (loop $taps
          (local.set $acc (i8x16.max_s (local.get $acc) (v128.xor (v128.load (local.get $tap)) (local.get $signs))))
          (local.set $tap (i32.add (local.get $tap) (local.get $dx)))
          (br_if $taps (local.tee $taps (i32.sub (local.get $taps) (i32.const 1)))))
        (local.set $p (i32.add (local.get $p) (local.get $dy)))
        (local.set $ny (i32.sub (local.get $ny) (i32.const 1)))
        (br $rows)))
    (call $store_x8! (local.get $y) (v128.xor (local.get $acc) (local.get $signs)) (local.get $rest)))

  (@kernel "f32_maxpool" (call $pool_f32! (ref.func $maxpool_window!)))
  ;; q is the sign flip.
  (@kernel "x8_maxpool" (call $pool! (ref.func $maxpool_bytes!) (i32.const 16)))
)
