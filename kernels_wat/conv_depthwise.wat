;; conv_depthwise — y[n,oh,ow,c] = clamp(b[c] + Σ(kh,kw) x[n, oh·sh − pt + kh·dh, ow·sw − pl + kw·dw, c]·W[kh,kw,c] + r, lo, hi)
;; Order     acc = b; taps (kh, kw) ascending, padding as +0: acc = madd(x, w, acc); then + r, one rounding
;; Layout    x dense NHWC; y and r images, rows and pixels yi, yr and py bytes apart; r = 0: none; r = y allowed
;;           W packed [⌈c/4⌉][kh][kw][4] · b padded to 4
;; Requires  c·4 zero bytes (and slack) at `zero`
;; Writes    output rows m0 ≤ n·oh + row < m1; reads up to 60 bytes past x, b, W and 12 past r
;;
;; Pixels whose window reaches beyond a side, and kernels that are not three wide, are computed one at a time, sixteen
;; channels at once. Where the window is three wide and between the sides, four neighbouring pixels share their columns, as
;; below. Narrow feature maps are computed down their columns: see $dw_strip!.
;;
;;   stride 1   x0 x1 x2 x3 x4 x5          stride 2   x0 x1 x2 x3 x4 x5 x6 x7 x8
;;        y0 ─▶  └──┴──┘                         y0 ─▶ └──┴──┘
;;        y1 ─▶     └──┴──┘                      y1 ─▶       └──┴──┘
;;        y2 ─▶        └──┴──┘                   y2 ─▶             └──┴──┘
;;        y3 ─▶           └──┴──┘                y3 ─▶                   └──┴──┘
;; v128      4 acc + 3 w + 6 (stride 2: one at a time) x + 1 product = 14 of 16
(module
  ;; Finish one vector: y = clamp(acc + residual), the first min(count, 4) channels.
  (func $dw_store! (param $y i32) (param $r i32) (param $acc v128) (param $lo v128) (param $hi v128) (param $count i32)
    (local $v v128)
    (local.set $v (local.get $acc))
    (if (local.get $r)
      (then (local.set $v (f32x4.add (local.get $v) (v128.load (local.get $r))))))
    (call $store_x32! (local.get $y) (call $clamp! (local.get $v) (local.get $lo) (local.get $hi)) (local.get $count)))

  ;; One output pixel, all channels. `top`, `left`: the window's first row and column; may lie outside the input.
  (func $dw_pixel! (param $y i32) (param $image i32) (param $w i32) (param $b i32) (param $r i32) (param $zero i32)
                   (param $lo v128) (param $hi v128) (param $top i32) (param $left i32)
                   (param $ih i32) (param $iw i32) (param $px i32)
                   (param $kh i32) (param $kw i32) (param $dh i32) (param $dw i32)
    (local $j i32) (local $ky i32) (local $kx i32) (local $iy i32) (local $row i32) (local $p i32) (local $pw i32)
    (local $block i32) (local $rest i32) (local $pr i32) (local $dr i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local.set $block (i32.shl (i32.mul (local.get $kh) (local.get $kw)) (i32.const 4)))
    (local.set $dr (i32.ne (local.get $r) (i32.const 0)))
    (local.set $j (i32.const 0))
    (loop $channels
      (local.set $a0 (v128.load (i32.add (local.get $b) (local.get $j))))
      (local.set $a1 (v128.load offset=16 (i32.add (local.get $b) (local.get $j))))
      (local.set $a2 (v128.load offset=32 (i32.add (local.get $b) (local.get $j))))
      (local.set $a3 (v128.load offset=48 (i32.add (local.get $b) (local.get $j))))
      ;; The weights of channel block j/16 begin j·kh·kw bytes into W.
      (local.set $pw
        (i32.add (local.get $w) (i32.mul (local.get $j) (i32.shr_u (local.get $block) (i32.const 4)))))
      (local.set $ky (i32.const 0))
      (loop $kernel_rows
        (local.set $iy (i32.add (local.get $top) (i32.mul (local.get $ky) (local.get $dh))))
        (local.set $row
          (select
            (i32.add (local.get $image) (i32.mul (i32.mul (local.get $iy) (local.get $iw)) (local.get $px)))
            (i32.const 0)
            (i32.lt_u (local.get $iy) (local.get $ih))))
        (local.set $kx (i32.const 0))
        (loop $kernel_columns
          (local.set $p
            (i32.add (local.get $j)
              (call $pixel! (local.get $row)
                (i32.add (local.get $left) (i32.mul (local.get $kx) (local.get $dw)))
                (local.get $iw) (local.get $px) (local.get $zero))))
          (local.set $a0
            (call $madd! (v128.load (local.get $p)) (v128.load (local.get $pw)) (local.get $a0)))
          (local.set $a1
            (call $madd! (v128.load offset=16 (local.get $p))
              (v128.load (i32.add (local.get $pw) (local.get $block))) (local.get $a1)))
          (local.set $a2
            (call $madd! (v128.load offset=32 (local.get $p))
              (v128.load (i32.add (local.get $pw) (i32.shl (local.get $block) (i32.const 1)))) (local.get $a2)))
          (local.set $a3
            (call $madd! (v128.load offset=48 (local.get $p))
              (v128.load (i32.add (local.get $pw) (i32.mul (local.get $block) (i32.const 3)))) (local.get $a3)))
          (local.set $pw (i32.add (local.get $pw) (i32.const 16)))
          (br_if $kernel_columns
            (i32.lt_u (local.tee $kx (i32.add (local.get $kx) (i32.const 1))) (local.get $kw))))
        (br_if $kernel_rows
          (i32.lt_u (local.tee $ky (i32.add (local.get $ky) (i32.const 1))) (local.get $kh))))
      (local.set $p (i32.add (local.get $y) (local.get $j)))
      (local.set $pr (select (i32.add (local.get $r) (local.get $j)) (i32.const 0) (local.get $dr)))
      (local.set $rest (i32.shr_u (i32.sub (local.get $px) (local.get $j)) (i32.const 2)))
      (call $dw_store! (local.get $p) (local.get $pr) (local.get $a0) (local.get $lo) (local.get $hi) (local.get $rest))
      (if (i32.gt_u (local.get $rest) (i32.const 4))
        (then
          (call $dw_store! (i32.add (local.get $p) (i32.const 16))
            (i32.add (local.get $pr) (i32.shl (local.get $dr) (i32.const 4)))
            (local.get $a1) (local.get $lo) (local.get $hi) (i32.sub (local.get $rest) (i32.const 4)))))
      (if (i32.gt_u (local.get $rest) (i32.const 8))
        (then
          (call $dw_store! (i32.add (local.get $p) (i32.const 32))
            (i32.add (local.get $pr) (i32.shl (local.get $dr) (i32.const 5)))
            (local.get $a2) (local.get $lo) (local.get $hi) (i32.sub (local.get $rest) (i32.const 8)))))
      (if (i32.gt_u (local.get $rest) (i32.const 12))
        (then
          (call $dw_store! (i32.add (local.get $p) (i32.const 48))
            (i32.add (local.get $pr) (i32.mul (local.get $dr) (i32.const 48)))
            (local.get $a3) (local.get $lo) (local.get $hi) (i32.sub (local.get $rest) (i32.const 12)))))
      (br_if $channels
        (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 64))) (local.get $px)))))

  ;; Four neighbouring output pixels, all channels, of a kernel three wide that lies between the sides of the input.
  ;; x: the first pixel of the first window; dx: bytes between kernel rows, dh rows. If the window is `clipped`, rows that
  ;; are not less than ih, counted from `top`, are zeros.
  (func $dw_tile! (param $clipped i32) (param $y i32) (param $x i32) (param $w i32) (param $b i32) (param $r i32)
                  (param $lo v128) (param $hi v128) (param $kh i32) (param $dx i32) (param $px i32) (param $py i32)
                  (param $stride i32) (param $zero i32) (param $top i32) (param $ih i32) (param $dh i32)
    (local $j i32) (local $ky i32) (local $p i32) (local $pw i32) (local $rest i32) (local $pr i32) (local $dr i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $w0 v128) (local $w1 v128) (local $w2 v128) (local $v v128) (local $step i32) (local $iy i32)
    (local.set $step (local.get $px))
    (local.set $dr (select (local.get $py) (i32.const 0) (local.get $r)))
    (local.set $pw (local.get $w))
    (local.set $j (i32.const 0))
    (loop $channels
      (local.set $a0 (v128.load (i32.add (local.get $b) (local.get $j))))
      (local.set $a1 (local.get $a0))
      (local.set $a2 (local.get $a0))
      (local.set $a3 (local.get $a0))
      (local.set $p (i32.add (local.get $x) (local.get $j)))
      (local.set $ky (local.get $kh))
      (local.set $iy (local.get $top))
      (loop $kernel_rows
        (local.set $w0 (v128.load (local.get $pw)))
        (local.set $w1 (v128.load offset=16 (local.get $pw)))
        (local.set $w2 (v128.load offset=32 (local.get $pw)))
        (local.set $rest (local.get $p))
        (if (local.get $clipped)
          (then
            (local.set $step (local.get $px))
            (if (i32.ge_u (local.get $iy) (local.get $ih))
              (then
                (local.set $rest (i32.add (local.get $zero) (local.get $j)))
                (local.set $step (i32.const 0))))
            (local.set $iy (i32.add (local.get $iy) (local.get $dh)))))
        (local.set $a0 (call $madd! (v128.load (local.get $rest)) (local.get $w0) (local.get $a0)))
        (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
        (local.set $a0 (call $madd! (local.get $v) (local.get $w1) (local.get $a0)))
        (if (i32.eq (local.get $stride) (i32.const 1))
          (then
            (local.set $a1 (call $madd! (local.get $v) (local.get $w0) (local.get $a1)))
            (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
            (local.set $a0 (call $madd! (local.get $v) (local.get $w2) (local.get $a0)))
            (local.set $a1 (call $madd! (local.get $v) (local.get $w1) (local.get $a1)))
            (local.set $a2 (call $madd! (local.get $v) (local.get $w0) (local.get $a2)))
            (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
            (local.set $a1 (call $madd! (local.get $v) (local.get $w2) (local.get $a1)))
            (local.set $a2 (call $madd! (local.get $v) (local.get $w1) (local.get $a2)))
            (local.set $a3 (call $madd! (local.get $v) (local.get $w0) (local.get $a3)))
            (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
            (local.set $a2 (call $madd! (local.get $v) (local.get $w2) (local.get $a2)))
            (local.set $a3 (call $madd! (local.get $v) (local.get $w1) (local.get $a3)))
            (local.set $a3
              (call $madd! (v128.load (i32.add (local.get $rest) (local.get $step))) (local.get $w2) (local.get $a3))))
          (else
            (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
            (local.set $a0 (call $madd! (local.get $v) (local.get $w2) (local.get $a0)))
            (local.set $a1 (call $madd! (local.get $v) (local.get $w0) (local.get $a1)))
            (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
            (local.set $a1 (call $madd! (local.get $v) (local.get $w1) (local.get $a1)))
            (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
            (local.set $a1 (call $madd! (local.get $v) (local.get $w2) (local.get $a1)))
            (local.set $a2 (call $madd! (local.get $v) (local.get $w0) (local.get $a2)))
            (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
            (local.set $a2 (call $madd! (local.get $v) (local.get $w1) (local.get $a2)))
            (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
            (local.set $a2 (call $madd! (local.get $v) (local.get $w2) (local.get $a2)))
            (local.set $a3 (call $madd! (local.get $v) (local.get $w0) (local.get $a3)))
            (local.set $v (v128.load (local.tee $rest (i32.add (local.get $rest) (local.get $step)))))
            (local.set $a3 (call $madd! (local.get $v) (local.get $w1) (local.get $a3)))
            (local.set $a3
              (call $madd! (v128.load (i32.add (local.get $rest) (local.get $step))) (local.get $w2) (local.get $a3)))))
        (local.set $pw (i32.add (local.get $pw) (i32.const 48)))
        (local.set $p (i32.add (local.get $p) (local.get $dx)))
        (br_if $kernel_rows (local.tee $ky (i32.sub (local.get $ky) (i32.const 1)))))
      (local.set $p (i32.add (local.get $y) (local.get $j)))
      (local.set $pr (select (i32.add (local.get $r) (local.get $j)) (i32.const 0) (local.get $r)))
      (local.set $rest (i32.shr_u (i32.sub (local.get $px) (local.get $j)) (i32.const 2)))
      (call $dw_store! (local.get $p) (local.get $pr) (local.get $a0) (local.get $lo) (local.get $hi) (local.get $rest))
      (local.set $p (i32.add (local.get $p) (local.get $py)))
      (local.set $pr (i32.add (local.get $pr) (local.get $dr)))
      (call $dw_store! (local.get $p) (local.get $pr) (local.get $a1) (local.get $lo) (local.get $hi) (local.get $rest))
      (local.set $p (i32.add (local.get $p) (local.get $py)))
      (local.set $pr (i32.add (local.get $pr) (local.get $dr)))
      (call $dw_store! (local.get $p) (local.get $pr) (local.get $a2) (local.get $lo) (local.get $hi) (local.get $rest))
      (local.set $p (i32.add (local.get $p) (local.get $py)))
      (local.set $pr (i32.add (local.get $pr) (local.get $dr)))
      (call $dw_store! (local.get $p) (local.get $pr) (local.get $a3) (local.get $lo) (local.get $hi) (local.get $rest))
      (br_if $channels
        (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 16))) (local.get $px)))))

  ;; A strip of output rows, all columns and channels, of a kernel of 3 × 3 with stride 1: down every column, each row of
  ;; the input is the third of one output's, the second of the next one's and the first of the one after.
  ;; y, pr: the strip's first row; top: the first row of its windows.
  ;; v128      9 w + 3 acc + 1 x + 1 product = 14 of 16
  (func $dw_strip! (param $y i32) (param $image i32) (param $w i32) (param $b i32) (param $r i32) (param $zero i32)
                   (param $lo v128) (param $hi v128) (param $top i32) (param $rows i32)
                   (param $ih i32) (param $iw i32) (param $ow i32) (param $px i32) (param $pl i32)
                   (param $py i32) (param $yr i32)
    (local $ox i32) (local $j i32) (local $left i32) (local $dx i32) (local $dr i32) (local $first i32) (local $pw i32)
    (local $q0 i32) (local $q1 i32) (local $q2 i32) (local $s0 i32) (local $s1 i32) (local $s2 i32) (local $pz i32)
    (local $i i32) (local $iy i32) (local $out i32) (local $pr i32) (local $v v128) (local $bias v128)
    (local $a0 v128) (local $a1 v128) (local $a2 v128)
    (local $w0 v128) (local $w1 v128) (local $w2 v128) (local $w3 v128) (local $w4 v128) (local $w5 v128)
    (local $w6 v128) (local $w7 v128) (local $w8 v128)
    (local.set $dx (i32.mul (local.get $iw) (local.get $px)))
    (local.set $dr (select (local.get $yr) (i32.const 0) (local.get $r)))
    (local.set $ox (i32.const 0))
    (loop $columns
      (local.set $left (i32.sub (local.get $ox) (local.get $pl)))
      (local.set $first
        (i32.add (local.get $image)
          (i32.add
            (i32.mul (local.get $top) (local.get $dx))
            (i32.mul (local.get $left) (local.get $px)))))
      ;; From row to row; columns in the padding stay where the zeros are.
      (local.set $s0 (select (local.get $dx) (i32.const 0) (i32.lt_u (local.get $left) (local.get $iw))))
      (local.set $s1
        (select (local.get $dx) (i32.const 0)
          (i32.lt_u (i32.add (local.get $left) (i32.const 1)) (local.get $iw))))
      (local.set $s2
        (select (local.get $dx) (i32.const 0)
          (i32.lt_u (i32.add (local.get $left) (i32.const 2)) (local.get $iw))))
      (local.set $pw (local.get $w))
      (local.set $j (i32.const 0))
      (loop $channels
        (local.set $pz (i32.add (local.get $zero) (local.get $j)))
        (local.set $q0 (i32.add (local.get $first) (local.get $j)))
        (local.set $q1 (i32.add (local.get $q0) (local.get $px)))
        (local.set $q2 (i32.add (local.get $q1) (local.get $px)))
        (local.set $q0 (select (local.get $q0) (local.get $pz) (local.get $s0)))
        (local.set $q1 (select (local.get $q1) (local.get $pz) (local.get $s1)))
        (local.set $q2 (select (local.get $q2) (local.get $pz) (local.get $s2)))
        (local.set $w0 (v128.load (local.get $pw)))
        (local.set $w1 (v128.load offset=16 (local.get $pw)))
        (local.set $w2 (v128.load offset=32 (local.get $pw)))
        (local.set $w3 (v128.load offset=48 (local.get $pw)))
        (local.set $w4 (v128.load offset=64 (local.get $pw)))
        (local.set $w5 (v128.load offset=80 (local.get $pw)))
        (local.set $w6 (v128.load offset=96 (local.get $pw)))
        (local.set $w7 (v128.load offset=112 (local.get $pw)))
        (local.set $w8 (v128.load offset=128 (local.get $pw)))
        (local.set $bias (v128.load (i32.add (local.get $b) (local.get $j))))
        (local.set $a0 (local.get $bias))
        (local.set $a1 (local.get $bias))
        (local.set $out
          (i32.add (i32.add (local.get $y) (local.get $j)) (i32.mul (local.get $ox) (local.get $py))))
        (local.set $pr
          (select
            (i32.add (i32.add (local.get $r) (local.get $j)) (i32.mul (local.get $ox) (local.get $py)))
            (i32.const 0) (local.get $r)))
        (local.set $iy (local.get $top))
        (local.set $i (i32.const -2))
        (loop $input_rows
          (local.set $a2 (local.get $a1))
          (local.set $a1 (local.get $a0))
          (local.set $v
            (v128.load (select (local.get $q0) (local.get $pz) (i32.lt_u (local.get $iy) (local.get $ih)))))
          (local.set $a0 (call $madd! (local.get $v) (local.get $w0) (local.get $bias)))
          (local.set $q0 (i32.add (local.get $q0) (local.get $s0)))
          (local.set $a1 (call $madd! (local.get $v) (local.get $w3) (local.get $a1)))
          (local.set $a2 (call $madd! (local.get $v) (local.get $w6) (local.get $a2)))
          (local.set $v
            (v128.load (select (local.get $q1) (local.get $pz) (i32.lt_u (local.get $iy) (local.get $ih)))))
          (local.set $a0 (call $madd! (local.get $v) (local.get $w1) (local.get $a0)))
          (local.set $q1 (i32.add (local.get $q1) (local.get $s1)))
          (local.set $a1 (call $madd! (local.get $v) (local.get $w4) (local.get $a1)))
          (local.set $a2 (call $madd! (local.get $v) (local.get $w7) (local.get $a2)))
          (local.set $v
            (v128.load (select (local.get $q2) (local.get $pz) (i32.lt_u (local.get $iy) (local.get $ih)))))
          (local.set $a0 (call $madd! (local.get $v) (local.get $w2) (local.get $a0)))
          (local.set $q2 (i32.add (local.get $q2) (local.get $s2)))
          (local.set $a1 (call $madd! (local.get $v) (local.get $w5) (local.get $a1)))
          (local.set $iy (i32.add (local.get $iy) (i32.const 1)))
          (local.set $a2 (call $madd! (local.get $v) (local.get $w8) (local.get $a2)))
          (if (i32.ge_s (local.get $i) (i32.const 0))
            (then
              (call $dw_store! (local.get $out) (local.get $pr) (local.get $a2) (local.get $lo) (local.get $hi)
                (i32.shr_u (i32.sub (local.get $px) (local.get $j)) (i32.const 2)))
              (local.set $out (i32.add (local.get $out) (local.get $yr)))
              (local.set $pr (i32.add (local.get $pr) (local.get $dr)))))
          (br_if $input_rows
            (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $rows))))
        (local.set $pw (i32.add (local.get $pw) (i32.const 144)))
        (br_if $channels
          (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 16))) (local.get $px))))
      (br_if $columns
        (i32.lt_u (local.tee $ox (i32.add (local.get $ox) (i32.const 1))) (local.get $ow)))))

  (func $f32_dwconv (export "f32_dwconv")
    (param $y i32) (param $x i32) (param $w i32) (param $b i32) (param $r i32) (param $zero i32)
    (param $lo f32) (param $hi f32)
    (param $ih i32) (param $iw i32) (param $c i32) (param $oh i32) (param $ow i32)
    (param $kh i32) (param $kw i32) (param $sh i32) (param $sw i32) (param $dh i32) (param $dw i32)
    (param $pt i32) (param $pl i32)
    (param $py i32) (param $yr i32) (param $yi i32) (param $m0 i32) (param $m1 i32)
    (local $vlo v128) (local $vhi v128) (local $m i32) (local $image i32) (local $top i32) (local $left i32)
    (local $out i32) (local $ox i32) (local $px i32) (local $wide i32) (local $inside i32) (local $pr i32)
    (local $row i32) (local $first i32) (local $strips i32) (local $rows i32)
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $px (i32.shl (local.get $c) (i32.const 2)))
    ;; Whether four pixels can share columns, and how many columns they then read.
    (local.set $wide
      (i32.and
        (i32.and (i32.eq (local.get $kw) (i32.const 3)) (i32.eq (local.get $dw) (i32.const 1)))
        (i32.le_u (local.get $sw) (i32.const 2))))
    ;; Whether so few columns are better taken one by one: hardly four of them lie between the sides.
    (local.set $strips
      (i32.and
        (i32.and
          (i32.and (local.get $wide) (i32.le_u (local.get $ow) (i32.const 7)))
          (i32.and (i32.eq (local.get $kh) (i32.const 3)) (i32.eq (local.get $dh) (i32.const 1))))
        (i32.and (i32.eq (local.get $sh) (i32.const 1)) (i32.eq (local.get $sw) (i32.const 1)))))
    (local.set $m (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $image (i32.div_u (local.get $m) (local.get $oh)))
        (local.set $top (i32.sub (local.get $m) (i32.mul (local.get $image) (local.get $oh))))
        (local.set $row
          (i32.add (i32.mul (local.get $image) (local.get $yi)) (i32.mul (local.get $top) (local.get $yr))))
        (local.set $top (i32.sub (i32.mul (local.get $top) (local.get $sh)) (local.get $pt)))
        (local.set $image
          (i32.add (local.get $x)
            (i32.mul (local.get $image) (i32.mul (i32.mul (local.get $ih) (local.get $iw)) (local.get $px)))))
        (if (local.get $strips)
          (then
            (local.set $rows
              (call $min_u!
                (call $min_u! (i32.sub (local.get $m1) (local.get $m)) (i32.const 32))
                (i32.sub (local.get $oh) (i32.add (local.get $top) (local.get $pt)))))
            (call $dw_strip! (i32.add (local.get $y) (local.get $row)) (local.get $image) (local.get $w) (local.get $b)
              (select (i32.add (local.get $r) (local.get $row)) (i32.const 0) (local.get $r))
              (local.get $zero) (local.get $vlo) (local.get $vhi) (local.get $top) (local.get $rows)
              (local.get $ih) (local.get $iw) (local.get $ow) (local.get $px) (local.get $pl)
              (local.get $py) (local.get $yr))
            (local.set $m (i32.add (local.get $m) (local.get $rows)))
            (br $rows)))
        (local.set $inside
          (i32.and
            (i32.ge_s (local.get $top) (i32.const 0))
            (i32.lt_s
              (i32.add (local.get $top)
                (i32.mul (i32.sub (local.get $kh) (i32.const 1)) (local.get $dh)))
              (local.get $ih))))
        (local.set $ox (i32.const 0))
        (loop $pixels
          (local.set $left (i32.sub (i32.mul (local.get $ox) (local.get $sw)) (local.get $pl)))
          (local.set $out (i32.add (local.get $row) (i32.mul (local.get $ox) (local.get $py))))
          (local.set $pr (select (i32.add (local.get $r) (local.get $out)) (i32.const 0) (local.get $r)))
          (local.set $out (i32.add (local.get $y) (local.get $out)))
          (if
            (i32.and
              (i32.and (local.get $wide) (i32.ge_s (local.get $left) (i32.const 0)))
              (i32.and
                (i32.le_u (i32.add (local.get $ox) (i32.const 4)) (local.get $ow))
                (i32.le_s
                  (i32.add (local.get $left) (i32.add (i32.mul (local.get $sw) (i32.const 3)) (i32.const 3)))
                  (local.get $iw))))
            (then
              (local.set $first
                (i32.add (local.get $image)
                  (i32.mul (i32.add (i32.mul (local.get $top) (local.get $iw)) (local.get $left)) (local.get $px))))
              (if (local.get $inside)
                (then
                  (call $dw_tile! (i32.const 0) (local.get $out) (local.get $first)
                    (local.get $w) (local.get $b) (local.get $pr) (local.get $vlo) (local.get $vhi) (local.get $kh)
                    (i32.mul (i32.mul (local.get $dh) (local.get $iw)) (local.get $px))
                    (local.get $px) (local.get $py) (local.get $sw)
                    (local.get $zero) (local.get $top) (local.get $ih) (local.get $dh)))
                (else
                  (call $dw_tile! (i32.const 1) (local.get $out) (local.get $first)
                    (local.get $w) (local.get $b) (local.get $pr) (local.get $vlo) (local.get $vhi) (local.get $kh)
                    (i32.mul (i32.mul (local.get $dh) (local.get $iw)) (local.get $px))
                    (local.get $px) (local.get $py) (local.get $sw)
                    (local.get $zero) (local.get $top) (local.get $ih) (local.get $dh))))
              (local.set $ox (i32.add (local.get $ox) (i32.const 4))))
            (else
              (call $dw_pixel! (local.get $out) (local.get $image) (local.get $w) (local.get $b) (local.get $pr)
                (local.get $zero) (local.get $vlo) (local.get $vhi) (local.get $top) (local.get $left)
                (local.get $ih) (local.get $iw) (local.get $px) (local.get $kh) (local.get $kw)
                (local.get $dh) (local.get $dw))
              (local.set $ox (i32.add (local.get $ox) (i32.const 1)))))
          (br_if $pixels (i32.lt_u (local.get $ox) (local.get $ow))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $rows))))
)
