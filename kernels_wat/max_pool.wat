;; max_pool — y[n,oh,ow,c] = the largest tap of the window inside x, or -inf where there is none
;; Order     any: IEEE-754 maximum, NaN wins, +0 > -0
(module
  ;; In integers of the same order.
  (func $maxpool_op! (param $a v128) (param $x v128) (result v128)
    (i32x4.max_s (local.get $a) (call $to_ordered! (local.get $x))))
  (func $maxpool_finish! (param $acc v128) (param $count i32) (result v128)
    (call $from_ordered! (local.get $acc)))

  (func $f32_maxpool (export "f32_maxpool")
    (param $y i32) (param $x i32)
    (param $ih i32) (param $iw i32) (param $c i32) (param $oh i32) (param $ow i32)
    (param $kh i32) (param $kw i32) (param $sh i32) (param $sw i32) (param $dh i32) (param $dw i32)
    (param $pt i32) (param $pl i32) (param $px i32) (param $py i32) (param $m0 i32) (param $m1 i32)
    (call $pool! (ref.func $maxpool_op!) (ref.func $maxpool_finish!) (i32.const 0x80000000)
      (local.get $y) (local.get $x) (local.get $ih) (local.get $iw) (local.get $c) (local.get $oh) (local.get $ow)
      (local.get $kh) (local.get $kw) (local.get $sh) (local.get $sw) (local.get $dh) (local.get $dw)
      (local.get $pt) (local.get $pl) (local.get $px) (local.get $py)
      (i32.const 0) (i32.const 0) (local.get $ih) (local.get $iw)
      (local.get $m0) (local.get $m1)))
)
