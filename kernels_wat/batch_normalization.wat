;; batch_normalization — y[r,i] = madd(x[r,i] − mean[p], a[p], b[p]) over rows of n elements
;; Layout    rows ldy and ldx bytes apart · s = 0: p = r mod c, one channel a row ([n·c][hw]) · s = 4: p = i, all
;;           channels in a row ([hw][c])
;; Requires  s = 0 or s = 4
;; Writes    rows m0 ≤ r < m1; reads up to 60 bytes past x, mean, a and b · y = x allowed where ldy = ldx
(module
  (func $affine! (param $x v128) (param $mean v128) (param $a v128) (param $b v128) (result v128)
    (call $madd! (f32x4.sub (local.get $x) (local.get $mean)) (local.get $a) (local.get $b)))

  (func $f32_batchnorm (export "f32_batchnorm")
    (param $y i32) (param $x i32) (param $mean i32) (param $a i32) (param $b i32)
    (param $c i32) (param $n i32) (param $s i32)
    (param $ldy i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $p i32) (local $rest i32) (local $px i32) (local $py i32)
    (local $pm i32) (local $pa i32) (local $pb i32) (local $vm v128) (local $va v128) (local $vb v128)
    (local $y0 v128) (local $y1 v128) (local $y2 v128) (local $y3 v128)
    (local.set $m (local.get $m0))
    (block $done
      (br_if $done (i32.eqz (local.get $n)))
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $p
          (select (i32.const 0)
            (i32.shl (i32.rem_u (local.get $m) (local.get $c)) (i32.const 2))
            (local.get $s)))
        (local.set $px (i32.add (local.get $x) (i32.mul (local.get $m) (local.get $ldx))))
        (local.set $py (i32.add (local.get $y) (i32.mul (local.get $m) (local.get $ldy))))
        (local.set $pm (i32.add (local.get $mean) (local.get $p)))
        (local.set $pa (i32.add (local.get $a) (local.get $p)))
        (local.set $pb (i32.add (local.get $b) (local.get $p)))
        (local.set $rest (local.get $n))
        (if (local.get $s)
          (then
            (loop $channels
              (local.set $y0
                (call $affine! (v128.load (local.get $px)) (v128.load (local.get $pm))
                  (v128.load (local.get $pa)) (v128.load (local.get $pb))))
              (local.set $y1
                (call $affine! (v128.load offset=16 (local.get $px)) (v128.load offset=16 (local.get $pm))
                  (v128.load offset=16 (local.get $pa)) (v128.load offset=16 (local.get $pb))))
              (local.set $y2
                (call $affine! (v128.load offset=32 (local.get $px)) (v128.load offset=32 (local.get $pm))
                  (v128.load offset=32 (local.get $pa)) (v128.load offset=32 (local.get $pb))))
              (local.set $y3
                (call $affine! (v128.load offset=48 (local.get $px)) (v128.load offset=48 (local.get $pm))
                  (v128.load offset=48 (local.get $pa)) (v128.load offset=48 (local.get $pb))))
              (call $store4_x32! (local.get $py)
                (local.get $y0) (local.get $y1) (local.get $y2) (local.get $y3) (local.get $rest))
              (local.set $px (i32.add (local.get $px) (i32.const 64)))
              (local.set $py (i32.add (local.get $py) (i32.const 64)))
              (local.set $pm (i32.add (local.get $pm) (i32.const 64)))
              (local.set $pa (i32.add (local.get $pa) (i32.const 64)))
              (local.set $pb (i32.add (local.get $pb) (i32.const 64)))
              (br_if $channels
                (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 16))) (i32.const 0)))))
          (else
            (local.set $vm (v128.load32_splat (local.get $pm)))
            (local.set $va (v128.load32_splat (local.get $pa)))
            (local.set $vb (v128.load32_splat (local.get $pb)))
            (loop $pixels
              (local.set $y0
                (call $affine! (v128.load (local.get $px)) (local.get $vm) (local.get $va) (local.get $vb)))
              (local.set $y1
                (call $affine! (v128.load offset=16 (local.get $px)) (local.get $vm) (local.get $va) (local.get $vb)))
              (local.set $y2
                (call $affine! (v128.load offset=32 (local.get $px)) (local.get $vm) (local.get $va) (local.get $vb)))
              (local.set $y3
                (call $affine! (v128.load offset=48 (local.get $px)) (local.get $vm) (local.get $va) (local.get $vb)))
              (call $store4_x32! (local.get $py)
                (local.get $y0) (local.get $y1) (local.get $y2) (local.get $y3) (local.get $rest))
              (local.set $px (i32.add (local.get $px) (i32.const 64)))
              (local.set $py (i32.add (local.get $py) (i32.const 64)))
              (br_if $pixels
                (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 16))) (i32.const 0))))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $rows))))
)
