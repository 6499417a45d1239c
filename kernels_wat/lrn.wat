;; lrn — y[p,c] = madd(a, Σi x[p,i]², bias), i from c − before to c + after inside [0, channels): what LRN raises to beta
;; Order     s = +0; i ascending: s = madd(x, x, s). Channels that do not exist add +0·+0, which s, never -0, ignores.
;; Layout    x, y [pixels][channels] dense
;; Writes    pixels m0 ≤ p < m1; reads up to 12 bytes before and after x
(module
  (func $f32_lrn (export "f32_lrn")
    (param $y i32) (param $x i32) (param $a f32) (param $bias f32)
    (param $channels i32) (param $before i32) (param $after i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $px i32) (local $c i32) (local $i i32) (local $end i32) (local $s v128) (local $v v128)
    (local.set $m (local.get $m0))
    (block $done
      (br_if $done (i32.eqz (local.get $channels)))
      (loop $pixels
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $px (i32.shl (i32.mul (local.get $m) (local.get $channels)) (i32.const 2)))
        (local.set $c (i32.const 0))
        (loop $vectors
          (local.set $s (v128.const i32x4 0 0 0 0))
          ;; Lane l sums from c + l − before on; no lane needs a vector that begins before −3 or at the last channel.
          (local.set $i (i32.sub (local.get $c) (local.get $before)))
          (if (i32.lt_s (local.get $i) (i32.const -3)) (then (local.set $i (i32.const -3))))
          (local.set $end
            (call $min_u! (local.get $channels)
              (i32.add (i32.add (local.get $c) (local.get $after)) (i32.const 1))))
          (loop $window
            (local.set $v
              (v128.and
                (v128.load
                  (i32.add (i32.add (local.get $x) (local.get $px)) (i32.shl (local.get $i) (i32.const 2))))
                (i32x4.lt_u
                  (i32x4.add (i32x4.splat (local.get $i)) (v128.const i32x4 0 1 2 3))
                  (i32x4.splat (local.get $channels)))))
            (local.set $s (call $madd! (local.get $v) (local.get $v) (local.get $s)))
            (br_if $window
              (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $end))))
          (call $store_x32!
            (i32.add (i32.add (local.get $y) (local.get $px)) (i32.shl (local.get $c) (i32.const 2)))
            (call $madd! (f32x4.splat (local.get $a)) (local.get $s) (f32x4.splat (local.get $bias)))
            (i32.sub (local.get $channels) (local.get $c)))
          (br_if $vectors
            (i32.lt_u (local.tee $c (i32.add (local.get $c) (i32.const 4))) (local.get $channels))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $pixels))))
)
