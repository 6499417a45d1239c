;; conv_depthwise — y[n,oh,ow,c] = clamp(b[c] + Σ(kh,kw) x[n, oh·sh − pt + kh·dh, ow·sw − pl + kw·dw, c]·W[kh,kw,c] + r, lo, hi)
;; Order     acc = b; taps (kh, kw) ascending, padding as +0: acc = madd(x, w, acc); then + r, one rounding
;; Layout    x dense NHWC; y and r images, rows and pixels yi, yr and py bytes apart; r = 0: none; r = y allowed
;;           W packed [⌈c/4⌉][kh][kw][4] · b padded to 4
;; Requires  c·4 zero bytes (and slack) at `zero`
;; Writes    output rows m0 ≤ n·oh + row < m1; reads up to 60 bytes past x, b, W and 12 past r
;;
;; Kernels of 3 × 3 are computed in tiles of seven neighbouring pixels, which share their columns, as below, or of five or
;; three where fewer are left. What no tile covers is computed one pixel at a time, sixteen channels at once.
;;
;;   stride 1   x0 x1 x2 x3 x4 x5 …            stride 2   x0 x1 x2 x3 x4 x5 x6 …
;;        y0 ─▶  └──┴──┘                            y0 ─▶  └──┴──┘
;;        y1 ─▶     └──┴──┘                         y1 ─▶        └──┴──┘
;;        y2 ─▶        └──┴──┘                      y2 ─▶              └──┴── …
;;        …
;; v128      7 acc + 3 w + 1 x + 1 product = 12 of 16
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
      (local.set $rest (call $min_u! (local.get $rest) (i32.const 16)))
      (loop $vectors
        (call $dw_store! (local.get $p) (local.get $pr) (local.get $a0) (local.get $lo) (local.get $hi)
          (local.get $rest))
        (local.set $a0 (local.get $a1)) (local.set $a1 (local.get $a2)) (local.set $a2 (local.get $a3))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $pr (i32.add (local.get $pr) (i32.shl (local.get $dr) (i32.const 4))))
        (br_if $vectors
          (i32.gt_s (local.tee $rest (i32.sub (local.get $rest) (i32.const 4))) (i32.const 0))))
      (br_if $channels
        (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 64))) (local.get $px)))))

  ;; n neighbouring output pixels, 3, 5 or 7, all channels, of a kernel of 3 × 3 with stride 1 or 2. Only the
  ;; first column of their windows may lie before those of the input, only the last one behind.
  ;; x: where the pixel at `top`, `left` lies, or would; dx: bytes between rows of the window.
  (func $dw_tile! (param $n i32)
                  (param $y i32) (param $x i32) (param $w i32) (param $b i32) (param $r i32) (param $zero i32)
                  (param $lo v128) (param $hi v128) (param $top i32) (param $left i32)
                  (param $ih i32) (param $iw i32) (param $px i32) (param $py i32)
                  (param $sw i32) (param $dh i32) (param $dx i32)
    (local $last i32)
    (local $f0 i32) (local $p0 i32) (local $l0 i32) (local $s0 i32)
    (local $f1 i32) (local $p1 i32) (local $l1 i32) (local $s1 i32)
    (local $f2 i32) (local $p2 i32) (local $l2 i32) (local $s2 i32)
    (local.set $last
      (i32.add (i32.mul (local.get $sw) (i32.sub (local.get $n) (i32.const 1))) (i32.const 2)))
    (local.set $f0 (local.set $p0 (local.set $l0 (local.set $s0
      (call $row_of_tile! (local.get $x) (local.get $zero) (local.get $top) (local.get $left) (local.get $last)
        (local.get $ih) (local.get $iw) (local.get $px))))))
    (local.set $x (i32.add (local.get $x) (local.get $dx)))
    (local.set $top (i32.add (local.get $top) (local.get $dh)))
    (local.set $f1 (local.set $p1 (local.set $l1 (local.set $s1
      (call $row_of_tile! (local.get $x) (local.get $zero) (local.get $top) (local.get $left) (local.get $last)
        (local.get $ih) (local.get $iw) (local.get $px))))))
    (local.set $x (i32.add (local.get $x) (local.get $dx)))
    (local.set $top (i32.add (local.get $top) (local.get $dh)))
    (local.set $f2 (local.set $p2 (local.set $l2 (local.set $s2
      (call $row_of_tile! (local.get $x) (local.get $zero) (local.get $top) (local.get $left) (local.get $last)
        (local.get $ih) (local.get $iw) (local.get $px))))))
    (if (i32.eq (local.get $n) (i32.const 7))
      (then
        (call $dw_channels! (i32.const 7) (local.get $y) (local.get $w) (local.get $b) (local.get $r)
          (local.get $lo) (local.get $hi) (local.get $px) (local.get $py) (local.get $sw)
          (local.get $f0) (local.get $p0) (local.get $l0) (local.get $s0)
          (local.get $f1) (local.get $p1) (local.get $l1) (local.get $s1)
          (local.get $f2) (local.get $p2) (local.get $l2) (local.get $s2)))
      (else
        (if (i32.eq (local.get $n) (i32.const 5))
          (then
            (call $dw_channels! (i32.const 5) (local.get $y) (local.get $w) (local.get $b) (local.get $r)
              (local.get $lo) (local.get $hi) (local.get $px) (local.get $py) (local.get $sw)
              (local.get $f0) (local.get $p0) (local.get $l0) (local.get $s0)
              (local.get $f1) (local.get $p1) (local.get $l1) (local.get $s1)
              (local.get $f2) (local.get $p2) (local.get $l2) (local.get $s2)))
          (else
            (call $dw_channels! (i32.const 3) (local.get $y) (local.get $w) (local.get $b) (local.get $r)
              (local.get $lo) (local.get $hi) (local.get $px) (local.get $py) (local.get $sw)
              (local.get $f0) (local.get $p0) (local.get $l0) (local.get $s0)
              (local.get $f1) (local.get $p1) (local.get $l1) (local.get $s1)
              (local.get $f2) (local.get $p2) (local.get $l2) (local.get $s2)))))))

  ;; All channels of a tile whose width is known; p0, s0 and so on: see $row_of_tile!.
  (func $dw_channels! (param $n i32) (param $y i32) (param $w i32) (param $b i32) (param $r i32)
                      (param $lo v128) (param $hi v128) (param $px i32) (param $py i32) (param $sw i32)
                      (param $f0 i32) (param $p0 i32) (param $l0 i32) (param $s0 i32)
                      (param $f1 i32) (param $p1 i32) (param $l1 i32) (param $s1 i32)
                      (param $f2 i32) (param $p2 i32) (param $l2 i32) (param $s2 i32)
    (local $j i32) (local $p i32) (local $pw i32) (local $rest i32) (local $last i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $a4 v128) (local $a5 v128) (local $a6 v128)
    (local.set $pw (local.get $w))
    (local.set $j (i32.const 0))
    (loop $channels
      (if (i32.eq (local.get $sw) (i32.const 1))
        (then
          (local.set $a0 (local.set $a1 (local.set $a2 (local.set $a3 (local.set $a4 (local.set $a5 (local.set $a6
            (call $window! (local.get $n) (i32.const 1) (local.get $j) (local.get $pw)
              (local.get $f0) (local.get $p0) (local.get $l0) (local.get $s0)
              (local.get $f1) (local.get $p1) (local.get $l1) (local.get $s1)
              (local.get $f2) (local.get $p2) (local.get $l2) (local.get $s2)
              (v128.load (i32.add (local.get $b) (local.get $j))))))))))))
        (else
          (local.set $a0 (local.set $a1 (local.set $a2 (local.set $a3 (local.set $a4 (local.set $a5 (local.set $a6
            (call $window! (local.get $n) (i32.const 2) (local.get $j) (local.get $pw)
              (local.get $f0) (local.get $p0) (local.get $l0) (local.get $s0)
              (local.get $f1) (local.get $p1) (local.get $l1) (local.get $s1)
              (local.get $f2) (local.get $p2) (local.get $l2) (local.get $s2)
              (v128.load (i32.add (local.get $b) (local.get $j)))))))))))))
      (local.set $pw (i32.add (local.get $pw) (i32.const 144)))
      (if (local.get $r)
        (then
          (local.set $p (i32.add (local.get $r) (local.get $j)))
          (local.set $a0 (f32x4.add (local.get $a0) (v128.load (local.get $p))))
          (local.set $p (i32.add (local.get $p) (local.get $py)))
          (local.set $a1 (f32x4.add (local.get $a1) (v128.load (local.get $p))))
          (local.set $p (i32.add (local.get $p) (local.get $py)))
          (local.set $a2 (f32x4.add (local.get $a2) (v128.load (local.get $p))))
          (if (i32.ge_u (local.get $n) (i32.const 5))
            (then
              (local.set $p (i32.add (local.get $p) (local.get $py)))
              (local.set $a3 (f32x4.add (local.get $a3) (v128.load (local.get $p))))
              (local.set $p (i32.add (local.get $p) (local.get $py)))
              (local.set $a4 (f32x4.add (local.get $a4) (v128.load (local.get $p))))))
          (if (i32.eq (local.get $n) (i32.const 7))
            (then
              (local.set $p (i32.add (local.get $p) (local.get $py)))
              (local.set $a5 (f32x4.add (local.get $a5) (v128.load (local.get $p))))
              (local.set $p (i32.add (local.get $p) (local.get $py)))
              (local.set $a6 (f32x4.add (local.get $a6) (v128.load (local.get $p))))))))
      (local.set $p (i32.add (local.get $y) (local.get $j)))
      (local.set $rest (i32.shr_u (i32.sub (local.get $px) (local.get $j)) (i32.const 2)))
      (if (i32.ge_u (local.get $rest) (i32.const 4))
        (then
          (v128.store (local.get $p) (call $clamp! (local.get $a0) (local.get $lo) (local.get $hi)))
          (local.set $p (i32.add (local.get $p) (local.get $py)))
          (v128.store (local.get $p) (call $clamp! (local.get $a1) (local.get $lo) (local.get $hi)))
          (local.set $p (i32.add (local.get $p) (local.get $py)))
          (v128.store (local.get $p) (call $clamp! (local.get $a2) (local.get $lo) (local.get $hi)))
          (if (i32.ge_u (local.get $n) (i32.const 5))
            (then
              (local.set $p (i32.add (local.get $p) (local.get $py)))
              (v128.store (local.get $p) (call $clamp! (local.get $a3) (local.get $lo) (local.get $hi)))
              (local.set $p (i32.add (local.get $p) (local.get $py)))
              (v128.store (local.get $p) (call $clamp! (local.get $a4) (local.get $lo) (local.get $hi)))))
          (if (i32.eq (local.get $n) (i32.const 7))
            (then
              (local.set $p (i32.add (local.get $p) (local.get $py)))
              (v128.store (local.get $p) (call $clamp! (local.get $a5) (local.get $lo) (local.get $hi)))
              (local.set $p (i32.add (local.get $p) (local.get $py)))
              (v128.store (local.get $p) (call $clamp! (local.get $a6) (local.get $lo) (local.get $hi))))))
        (else
          ;; One pixel after the other moves up to the first place.
          (local.set $last (local.get $n))
          (loop $pixels
            (call $store_tail_x32! (local.get $p) (call $clamp! (local.get $a0) (local.get $lo) (local.get $hi))
              (local.get $rest))
            (local.set $p (i32.add (local.get $p) (local.get $py)))
            (local.set $a0 (local.get $a1)) (local.set $a1 (local.get $a2)) (local.set $a2 (local.get $a3))
            (local.set $a3 (local.get $a4)) (local.set $a4 (local.get $a5)) (local.set $a5 (local.get $a6))
            (br_if $pixels (local.tee $last (i32.sub (local.get $last) (i32.const 1)))))))
      (br_if $channels
        (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 16))) (local.get $px)))))

  ;; The three rows of a tile's windows: `p0`, `p1`, `p2` and so on are what $taps! takes for each.
  (func $window! (param $n i32) (param $sw i32) (param $j i32) (param $w i32)
                 (param $f0 i32) (param $p0 i32) (param $l0 i32) (param $s0 i32)
                 (param $f1 i32) (param $p1 i32) (param $l1 i32) (param $s1 i32)
                 (param $f2 i32) (param $p2 i32) (param $l2 i32) (param $s2 i32)
                 (param $b v128)
                 (result v128 v128 v128 v128 v128 v128 v128)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $a4 v128) (local $a5 v128) (local $a6 v128)
    (local.set $a0 (local.set $a1 (local.set $a2 (local.set $a3 (local.set $a4 (local.set $a5 (local.set $a6
      (call $taps! (local.get $n) (local.get $sw) (i32.add (local.get $f0) (local.get $j))
        (i32.add (local.get $p0) (local.get $j)) (i32.add (local.get $l0) (local.get $j)) (local.get $s0) (local.get $w)
        (local.get $b) (local.get $b) (local.get $b) (local.get $b)
        (local.get $b) (local.get $b) (local.get $b)))))))))
    (local.set $a0 (local.set $a1 (local.set $a2 (local.set $a3 (local.set $a4 (local.set $a5 (local.set $a6
      (call $taps! (local.get $n) (local.get $sw) (i32.add (local.get $f1) (local.get $j))
        (i32.add (local.get $p1) (local.get $j)) (i32.add (local.get $l1) (local.get $j)) (local.get $s1)
        (i32.add (local.get $w) (i32.const 48))
        (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
        (local.get $a4) (local.get $a5) (local.get $a6)))))))))
    (local.set $a0 (local.set $a1 (local.set $a2 (local.set $a3 (local.set $a4 (local.set $a5 (local.set $a6
      (call $taps! (local.get $n) (local.get $sw) (i32.add (local.get $f2) (local.get $j))
        (i32.add (local.get $p2) (local.get $j)) (i32.add (local.get $l2) (local.get $j)) (local.get $s2)
        (i32.add (local.get $w) (i32.const 96))
        (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
        (local.get $a4) (local.get $a5) (local.get $a6)))))))))
    (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3) (local.get $a4) (local.get $a5) (local.get $a6))

  ;; One row of a tile's windows, n pixels, 3, 5 or 7: `f`, `p` and `l` point to its first pixel, the next one and the last
  ;; one, s bytes lead from pixel to pixel.
  (func $taps! (param $n i32) (param $sw i32) (param $f i32) (param $p i32) (param $l i32) (param $s i32) (param $w i32)
               (param $a0 v128) (param $a1 v128) (param $a2 v128) (param $a3 v128)
               (param $a4 v128) (param $a5 v128) (param $a6 v128)
               (result v128 v128 v128 v128 v128 v128 v128)
    (local $w0 v128) (local $w1 v128) (local $w2 v128) (local $v v128)
    (local.set $w0 (v128.load (local.get $w)))
    (local.set $w1 (v128.load offset=16 (local.get $w)))
    (local.set $w2 (v128.load offset=32 (local.get $w)))
    (local.set $v (v128.load (local.get $f)))
    (local.set $a0 (call $madd! (local.get $v) (local.get $w0) (local.get $a0)))
    (local.set $v (v128.load (local.get $p)))
    (local.set $a0 (call $madd! (local.get $v) (local.get $w1) (local.get $a0)))
    (if (i32.eq (local.get $sw) (i32.const 1))
      (then
        (local.set $a1 (call $madd! (local.get $v) (local.get $w0) (local.get $a1)))
        (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
        (local.set $a0 (call $madd! (local.get $v) (local.get $w2) (local.get $a0)))
        (local.set $a1 (call $madd! (local.get $v) (local.get $w1) (local.get $a1)))
        (local.set $a2 (call $madd! (local.get $v) (local.get $w0) (local.get $a2)))
        (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
        (local.set $a1 (call $madd! (local.get $v) (local.get $w2) (local.get $a1)))
        (local.set $a2 (call $madd! (local.get $v) (local.get $w1) (local.get $a2)))
        (if (i32.ge_u (local.get $n) (i32.const 5))
          (then
            (local.set $a3 (call $madd! (local.get $v) (local.get $w0) (local.get $a3)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a2 (call $madd! (local.get $v) (local.get $w2) (local.get $a2)))
            (local.set $a3 (call $madd! (local.get $v) (local.get $w1) (local.get $a3)))
            (local.set $a4 (call $madd! (local.get $v) (local.get $w0) (local.get $a4)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a3 (call $madd! (local.get $v) (local.get $w2) (local.get $a3)))
            (local.set $a4 (call $madd! (local.get $v) (local.get $w1) (local.get $a4)))))
        (if (i32.eq (local.get $n) (i32.const 7))
          (then
            (local.set $a5 (call $madd! (local.get $v) (local.get $w0) (local.get $a5)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a4 (call $madd! (local.get $v) (local.get $w2) (local.get $a4)))
            (local.set $a5 (call $madd! (local.get $v) (local.get $w1) (local.get $a5)))
            (local.set $a6 (call $madd! (local.get $v) (local.get $w0) (local.get $a6)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a5 (call $madd! (local.get $v) (local.get $w2) (local.get $a5)))
            (local.set $a6 (call $madd! (local.get $v) (local.get $w1) (local.get $a6))))))
      (else
        (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
        (local.set $a0 (call $madd! (local.get $v) (local.get $w2) (local.get $a0)))
        (local.set $a1 (call $madd! (local.get $v) (local.get $w0) (local.get $a1)))
        (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
        (local.set $a1 (call $madd! (local.get $v) (local.get $w1) (local.get $a1)))
        (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
        (local.set $a1 (call $madd! (local.get $v) (local.get $w2) (local.get $a1)))
        (local.set $a2 (call $madd! (local.get $v) (local.get $w0) (local.get $a2)))
        (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
        (local.set $a2 (call $madd! (local.get $v) (local.get $w1) (local.get $a2)))
        (if (i32.ge_u (local.get $n) (i32.const 5))
          (then
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a2 (call $madd! (local.get $v) (local.get $w2) (local.get $a2)))
            (local.set $a3 (call $madd! (local.get $v) (local.get $w0) (local.get $a3)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a3 (call $madd! (local.get $v) (local.get $w1) (local.get $a3)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a3 (call $madd! (local.get $v) (local.get $w2) (local.get $a3)))
            (local.set $a4 (call $madd! (local.get $v) (local.get $w0) (local.get $a4)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a4 (call $madd! (local.get $v) (local.get $w1) (local.get $a4)))))
        (if (i32.eq (local.get $n) (i32.const 7))
          (then
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a4 (call $madd! (local.get $v) (local.get $w2) (local.get $a4)))
            (local.set $a5 (call $madd! (local.get $v) (local.get $w0) (local.get $a5)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a5 (call $madd! (local.get $v) (local.get $w1) (local.get $a5)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a5 (call $madd! (local.get $v) (local.get $w2) (local.get $a5)))
            (local.set $a6 (call $madd! (local.get $v) (local.get $w0) (local.get $a6)))
            (local.set $v (v128.load (local.tee $p (i32.add (local.get $p) (local.get $s)))))
            (local.set $a6 (call $madd! (local.get $v) (local.get $w1) (local.get $a6)))))))
    (local.set $v (v128.load (local.get $l)))
    (if (i32.eq (local.get $n) (i32.const 3))
      (then (local.set $a2 (call $madd! (local.get $v) (local.get $w2) (local.get $a2)))))
    (if (i32.eq (local.get $n) (i32.const 5))
      (then (local.set $a4 (call $madd! (local.get $v) (local.get $w2) (local.get $a4)))))
    (if (i32.eq (local.get $n) (i32.const 7))
      (then (local.set $a6 (call $madd! (local.get $v) (local.get $w2) (local.get $a6)))))
    (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3) (local.get $a4) (local.get $a5) (local.get $a6))

  ;; A row of a tile's windows: its first pixel, the one after it, its last, which is number `last`, and the way from
  ;; pixel to pixel. Pixels outside of the input are at `zero`.
  (func $row_of_tile! (param $x i32) (param $zero i32) (param $top i32) (param $left i32) (param $last i32)
                      (param $ih i32) (param $iw i32) (param $px i32) (result i32 i32 i32 i32)
    (local $step i32)
    (local.set $step (local.get $px))
    (if (i32.ge_u (local.get $top) (local.get $ih))
      (then
        (local.set $x (local.get $zero))
        (local.set $step (i32.const 0))))
    (select (local.get $x) (local.get $zero) (i32.lt_u (local.get $left) (local.get $iw)))
    (i32.add (local.get $x) (local.get $step))
    (select
      (i32.add (local.get $x) (i32.mul (local.get $step) (local.get $last)))
      (local.get $zero)
      (i32.lt_u (i32.add (local.get $left) (local.get $last)) (local.get $iw)))
    (local.get $step))

  (func $f32_dwconv (export "f32_dwconv")
    (param $y i32) (param $x i32) (param $w i32) (param $b i32) (param $r i32) (param $zero i32)
    (param $lo f32) (param $hi f32)
    (param $ih i32) (param $iw i32) (param $c i32) (param $oh i32) (param $ow i32)
    (param $kh i32) (param $kw i32) (param $sh i32) (param $sw i32) (param $dh i32) (param $dw i32)
    (param $pt i32) (param $pl i32)
    (param $py i32) (param $yr i32) (param $yi i32) (param $m0 i32) (param $m1 i32)
    (local $vlo v128) (local $vhi v128) (local $m i32) (local $image i32) (local $top i32) (local $left i32)
    (local $out i32) (local $ox i32) (local $at i32) (local $tiled i32) (local $px i32) (local $pr i32)
    (local $row i32) (local $square i32) (local $tile i32) (local $rest i32) (local $again i32)
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $px (i32.shl (local.get $c) (i32.const 2)))
    ;; Whether windows are those of tiles.
    (local.set $square
      (i32.and
        (i32.and
          (i32.and (i32.eq (local.get $kh) (i32.const 3)) (i32.eq (local.get $kw) (i32.const 3)))
          (i32.and (i32.eq (local.get $dw) (i32.const 1)) (i32.le_u (local.get $sw) (i32.const 2))))
        (i32.ge_u (local.get $ow) (i32.const 3))))
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
        (local.set $ox (i32.const 0))
        (loop $pixels
          ;; The last tile begins earlier, so that it is whole, unless what it computes again has changed its residual.
          (local.set $rest (i32.sub (local.get $ow) (local.get $ox)))
          (local.set $again (i32.ne (local.get $r) (local.get $y)))
          (local.set $tile
            (select (i32.const 7)
              (select (i32.const 5) (i32.const 3) (i32.ge_u (local.get $rest) (i32.const 4)))
              (i32.ge_u (local.get $rest) (i32.const 6))))
          ;; Never wider than the row, or than what is left of it where nothing may be computed again.
          (if (i32.gt_u (local.get $tile) (select (local.get $ow) (local.get $rest) (local.get $again)))
            (then (local.set $tile (i32.const 3))))
          (local.set $at (local.get $ox))
          (if (i32.and (local.get $square) (local.get $again))
            (then (local.set $at (call $min_u! (local.get $ox) (i32.sub (local.get $ow) (local.get $tile))))))
          (local.set $left (i32.sub (i32.mul (local.get $at) (local.get $sw)) (local.get $pl)))
          (local.set $tiled
            (i32.and
              (i32.and (local.get $square)
                (i32.le_u (i32.add (local.get $at) (local.get $tile)) (local.get $ow)))
              (i32.and
                (i32.ge_s (local.get $left) (i32.const -1))
                (i32.le_s
                  (i32.add (local.get $left)
                    (i32.add
                      (i32.mul (local.get $sw) (i32.sub (local.get $tile) (i32.const 1)))
                      (i32.const 2)))
                  (local.get $iw)))))
          (if (i32.eqz (local.get $tiled))
            (then
              (local.set $at (local.get $ox))
              (local.set $left (i32.sub (i32.mul (local.get $at) (local.get $sw)) (local.get $pl)))))
          (local.set $out (i32.add (local.get $row) (i32.mul (local.get $at) (local.get $py))))
          (local.set $pr (select (i32.add (local.get $r) (local.get $out)) (i32.const 0) (local.get $r)))
          (local.set $out (i32.add (local.get $y) (local.get $out)))
          (if (local.get $tiled)
            (then
              (call $dw_tile! (local.get $tile) (local.get $out)
                (i32.add (local.get $image)
                  (i32.mul (i32.add (i32.mul (local.get $top) (local.get $iw)) (local.get $left)) (local.get $px)))
                (local.get $w) (local.get $b) (local.get $pr) (local.get $zero) (local.get $vlo) (local.get $vhi)
                (local.get $top) (local.get $left) (local.get $ih) (local.get $iw) (local.get $px) (local.get $py)
                (local.get $sw) (local.get $dh) (i32.mul (i32.mul (local.get $dh) (local.get $iw)) (local.get $px)))
              (local.set $ox (i32.add (local.get $at) (local.get $tile))))
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
