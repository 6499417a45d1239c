;; conv — convolution over channels-last feature maps
(module
  ;; f32_conv — y[n,oh,ow,m] = clamp(b[m] + Σ(kh,kw,c) x[n, oh·sh − pt + kh·dh, ow·sw − pl + kw·dw, c]·W + r, lo, hi)
  ;; Order     acc = b; taps (kh, kw, c) ascending, padding as +0: acc = madd(x, w, acc); then + r, one rounding
  ;; Layout    x pixels px bytes apart, rows of iw pixels, images of ih rows; y and r images, rows and pixels yi, yr
  ;;           and py bytes apart;
  ;;           W packed [⌈oc/8⌉][kh][kw][ic][8], zeros in the last panel · b padded to 8 · r = 0: none; r = y allowed
  ;; Requires  kw·ic·4 zero bytes at `zero`
  ;; Writes    output rows m0 ≤ n·oh + row < m1, channels 0:oc; reads up to 28 bytes past r
  ;; Tiles     four neighbouring output columns by eight output channels. Where the windows lie inside the row and its
  ;;           pixels are dense, a kernel row is one run of kw·ic floats; elsewhere every tap is a run of ic.
  (func $f32_conv (export "f32_conv")
    (param $y i32) (param $x i32) (param $w i32) (param $b i32) (param $r i32) (param $zero i32)
    (param $lo f32) (param $hi f32)
    (param $ih i32) (param $iw i32) (param $ic i32) (param $oh i32) (param $ow i32) (param $oc i32)
    (param $kh i32) (param $kw i32) (param $sh i32) (param $sw i32) (param $dh i32) (param $dw i32)
    (param $pt i32) (param $pl i32) (param $px i32) (param $py i32)
    (param $yr i32) (param $yi i32) (param $m0 i32) (param $m1 i32)
    (local $vlo v128) (local $vhi v128) (local $m i32) (local $image i32) (local $top i32) (local $out i32)
    (local $ox i32) (local $j i32) (local $pw i32) (local $ky i32) (local $kx i32) (local $iy i32) (local $ix i32)
    (local $row i32) (local $kb i32) (local $dense i32) (local $left i32) (local $taps i32) (local $run i32)
    (local $x0 i32) (local $x1 i32) (local $x2 i32) (local $x3 i32)
    (local $c00 v128) (local $c01 v128) (local $c10 v128) (local $c11 v128)
    (local $c20 v128) (local $c21 v128) (local $c30 v128) (local $c31 v128)
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $kb (i32.shl (local.get $ic) (i32.const 2)))
    (local.set $dense
      (i32.and (i32.eq (local.get $dw) (i32.const 1)) (i32.eq (local.get $px) (local.get $kb))))
    (local.set $m (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $image (i32.div_u (local.get $m) (local.get $oh)))
        (local.set $top (i32.sub (local.get $m) (i32.mul (local.get $image) (local.get $oh))))
        (local.set $out
          (i32.add (i32.mul (local.get $image) (local.get $yi)) (i32.mul (local.get $top) (local.get $yr))))
        (local.set $top (i32.sub (i32.mul (local.get $top) (local.get $sh)) (local.get $pt)))
        (local.set $image
          (i32.add (local.get $x)
            (i32.mul (local.get $image) (i32.mul (i32.mul (local.get $ih) (local.get $iw)) (local.get $px)))))
        (local.set $ox (i32.const 0))
        (loop $tiles
          (local.set $left (i32.sub (i32.mul (local.get $ox) (local.get $sw)) (local.get $pl)))
          (local.set $taps
            (select (local.get $kw) (i32.const 1)
              (i32.and
                (i32.and (local.get $dense) (i32.ge_s (local.get $left) (i32.const 0)))
                (i32.le_s
                  (i32.add (local.get $left) (i32.add (i32.mul (local.get $sw) (i32.const 3)) (local.get $kw)))
                  (local.get $iw)))))
          (local.set $run (i32.mul (local.get $kb) (local.get $taps)))
          (local.set $pw (local.get $w))
          (local.set $j (i32.const 0))
          (loop $panels
            (local.set $c00 (v128.load (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 2)))))
            (local.set $c01 (v128.load offset=16 (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 2)))))
            (local.set $c10 (local.get $c00)) (local.set $c11 (local.get $c01))
            (local.set $c20 (local.get $c00)) (local.set $c21 (local.get $c01))
            (local.set $c30 (local.get $c00)) (local.set $c31 (local.get $c01))
            (local.set $ky (i32.const 0))
            (loop $kernel_rows
              (local.set $iy (i32.add (local.get $top) (i32.mul (local.get $ky) (local.get $dh))))
              (local.set $row
                (select
                  (i32.add (local.get $image)
                    (i32.mul (i32.mul (local.get $iy) (local.get $iw)) (local.get $px)))
                  (i32.const 0)
                  (i32.lt_u (local.get $iy) (local.get $ih))))
              (local.set $kx (i32.const 0))
              (loop $kernel_columns
                (local.set $ix (i32.add (local.get $left) (i32.mul (local.get $kx) (local.get $dw))))
                (local.set $x0
                  (call $pixel! (local.get $row) (local.get $ix) (local.get $iw) (local.get $px) (local.get $zero)))
                (local.set $ix (i32.add (local.get $ix) (local.get $sw)))
                (local.set $x1
                  (call $pixel! (local.get $row) (local.get $ix) (local.get $iw) (local.get $px) (local.get $zero)))
                (local.set $ix (i32.add (local.get $ix) (local.get $sw)))
                (local.set $x2
                  (call $pixel! (local.get $row) (local.get $ix) (local.get $iw) (local.get $px) (local.get $zero)))
                (local.set $ix (i32.add (local.get $ix) (local.get $sw)))
                (local.set $x3
                  (call $pixel! (local.get $row) (local.get $ix) (local.get $iw) (local.get $px) (local.get $zero)))
                (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
                (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                  (call $tile4x8! (local.get $x0) (local.get $x1) (local.get $x2) (local.get $x3)
                    (local.get $pw) (local.get $run)
                    (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                    (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))
                (local.set $pw (i32.add (local.get $pw) (i32.shl (local.get $run) (i32.const 3))))
                (br_if $kernel_columns
                  (i32.lt_u (local.tee $kx (i32.add (local.get $kx) (local.get $taps))) (local.get $kw))))
              (br_if $kernel_rows
                (i32.lt_u (local.tee $ky (i32.add (local.get $ky) (i32.const 1))) (local.get $kh))))
            (call $store_tile4x8!
              (i32.add (i32.add (local.get $y) (local.get $out)) (i32.shl (local.get $j) (i32.const 2)))
              (local.get $py)
              (select
                (i32.add (i32.add (local.get $r) (local.get $out)) (i32.shl (local.get $j) (i32.const 2)))
                (i32.const 0) (local.get $r))
              (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
              (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
              (local.get $vlo) (local.get $vhi)
              (i32.sub (local.get $oc) (local.get $j)) (i32.sub (local.get $ow) (local.get $ox)))
            (br_if $panels
              (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 8))) (local.get $oc))))
          (local.set $out (i32.add (local.get $out) (i32.shl (local.get $py) (i32.const 2))))
          (br_if $tiles
            (i32.lt_u (local.tee $ox (i32.add (local.get $ox) (i32.const 4))) (local.get $ow))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $rows))))
)
