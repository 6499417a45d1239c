;; conv_winograd — convolution by 3×3 filters, four outputs at a time (Winograd's minimal filtering, F(2×2, 3×3))
(module
  ;; f32_winograd — y[n,oh,ow,m] = clamp(Aᵀ·(Σc (G·W·Gᵀ) ⊙ (Bᵀ·x·B))·A + b[m] + r, lo, hi), for tiles of 2×2 outputs
  ;; Order     Bᵀ·d of four: d0 − d2, d1 + d2, d2 − d1, d1 − d3. G·g of three: g0, ½((g0 + g2) + g1), ½((g0 + g2) − g1), g2.
  ;;           Aᵀ·m of four: (m0 + m1) + m2, (m1 − m2) − m3. Each along rows (up and down) first, then along columns.
  ;;           Σc from 0, c ascending: acc = madd(v, u, acc). Then + b, then + r. Padding is +0.
  ;; Layout    as f32_conv: x pixels px bytes apart, rows of iw pixels, images of ih rows; y and r images, rows and pixels
  ;;           yi, yr and py bytes apart; W packed [⌈oc/8⌉][3][3][ic][8], k = 9·ic · b padded to 8 · r = 0: none; r = y
  ;;           allowed
  ;; Scratch   for `block` tiles: V [16][block][ic] and U [16][ic][8], each of the 16 followed by 64 bytes; M [block + 5][16][8];
  ;;           64 bytes for addresses and 8 for each tile
  ;; Requires  ic·4 zero bytes at `zero`; block ≥ 1
  ;; Writes    tiles m0 ≤ (n·⌈oh/2⌉ + row)·⌈ow/2⌉ + column < m1, channels 0:oc; reads up to 28 bytes past r
  ;; Tiles     a block's inputs are transformed once (V); then come panels of eight filters: transformed (U), multiplied,
  ;;           one of the 16 products after the other (M), and these transformed back.
  (func $f32_winograd (export "f32_winograd")
    (param $y i32) (param $x i32) (param $w i32) (param $b i32) (param $r i32) (param $zero i32) (param $scratch i32)
    (param $lo f32) (param $hi f32)
    (param $ih i32) (param $iw i32) (param $ic i32) (param $oh i32) (param $ow i32) (param $oc i32) (param $k i32)
    (param $pt i32) (param $pl i32) (param $px i32) (param $py i32) (param $yr i32) (param $yi i32)
    (param $block i32) (param $m0 i32) (param $m1 i32)
    (local $kb i32) (local $across i32) (local $each i32) (local $count i32) (local $left i32)
    (local $u i32) (local $m i32) (local $places i32) (local $taps i32)
    (local $v_step i32) (local $u_step i32) (local $j i32) (local $dr i32)
    (if (i32.ge_u (local.get $m0) (local.get $m1)) (then (return)))
    (local.set $kb (i32.shl (local.get $ic) (i32.const 2)))
    (local.set $across (i32.shr_u (i32.add (local.get $ow) (i32.const 1)) (i32.const 1)))
    (local.set $each
      (i32.mul (local.get $across) (i32.shr_u (i32.add (local.get $oh) (i32.const 1)) (i32.const 1))))
    (local.set $v_step (i32.add (i32.mul (local.get $block) (local.get $kb)) (i32.const 64)))
    (local.set $u_step (i32.add (i32.shl (local.get $kb) (i32.const 3)) (i32.const 64)))
    (local.set $u (i32.add (local.get $scratch) (i32.shl (local.get $v_step) (i32.const 4))))
    (local.set $m (i32.add (local.get $u) (i32.shl (local.get $u_step) (i32.const 4))))
    (local.set $taps
      (i32.add (local.get $m) (i32.shl (i32.add (local.get $block) (i32.const 5)) (i32.const 9))))
    (local.set $places (i32.add (local.get $taps) (i32.const 64)))
    (local.set $dr (i32.sub (local.get $r) (local.get $y)))
    (loop $blocks
      ;; Blocks are of about the same size, whole register tiles if possible.
      (local.set $left (i32.sub (local.get $m1) (local.get $m0)))
      (local.set $count
        (i32.div_u (local.get $left)
          (i32.div_u (i32.add (local.get $left) (i32.sub (local.get $block) (i32.const 1))) (local.get $block))))
      (local.set $count
        (call $min_u! (call $min_u! (local.get $left) (local.get $block))
          (i32.mul (call $tile_rows!)
            (i32.div_u
              (i32.add (local.get $count) (i32.sub (call $tile_rows!) (i32.const 1)))
              (call $tile_rows!)))))
      (call $inputs! (local.get $scratch) (local.get $v_step) (local.get $places) (local.get $taps)
        (local.get $x) (local.get $zero) (local.get $ih) (local.get $iw) (local.get $oh) (local.get $ow) (local.get $kb)
        (local.get $pt) (local.get $pl) (local.get $px) (local.get $py) (local.get $yr) (local.get $yi)
        (local.get $across) (local.get $each) (local.get $m0) (local.get $count))
      (local.set $j (i32.const 0))
      (loop $panels
        (call $filters! (local.get $u) (local.get $u_step)
          (i32.add (local.get $w) (i32.mul (i32.shl (local.get $j) (i32.const 2)) (local.get $k)))
          (i32.shl (local.get $kb) (i32.const 3)))
        (call $products! (local.get $m) (local.get $scratch) (local.get $v_step) (local.get $u) (local.get $u_step)
          (local.get $kb) (local.get $count))
        (call $outputs!
          (i32.add (local.get $y) (i32.shl (local.get $j) (i32.const 2)))
          (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 2)))
          (local.get $r) (local.get $dr) (local.get $m) (local.get $places)
          (f32x4.splat (local.get $lo)) (f32x4.splat (local.get $hi))
          (local.get $py) (local.get $yr) (i32.sub (local.get $oc) (local.get $j)) (local.get $count))
        (br_if $panels
          (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 8))) (local.get $oc))))
      (br_if $blocks
        (i32.lt_u (local.tee $m0 (i32.add (local.get $m0) (local.get $count))) (local.get $m1)))))

  ;; V of `count` tiles from tile `m` on, and for each tile the place of its outputs: their distance from y and, bit by bit,
  ;; which of the four there are. Lanes past the last channel are written over by the next tile.
  (func $inputs! (param $v i32) (param $step i32) (param $places i32) (param $taps i32)
                 (param $x i32) (param $zero i32) (param $ih i32) (param $iw i32) (param $oh i32) (param $ow i32)
                 (param $kb i32) (param $pt i32) (param $pl i32) (param $px i32) (param $py i32)
                 (param $yr i32) (param $yi i32) (param $across i32) (param $each i32) (param $m i32) (param $count i32)
    (local $row i32) (local $column i32) (local $image i32) (local $t i32) (local $c i32) (local $q i32) (local $p i32)
    (local $to i32)
    (local $d10 v128) (local $d11 v128) (local $d12 v128) (local $d13 v128)
    (local $d20 v128) (local $d21 v128) (local $d22 v128) (local $d23 v128)
    (loop $tiles
      (local.set $image (i32.div_u (local.get $m) (local.get $each)))
      (local.set $t (i32.sub (local.get $m) (i32.mul (local.get $image) (local.get $each))))
      (local.set $row (i32.div_u (local.get $t) (local.get $across)))
      (local.set $column
        (i32.shl (i32.sub (local.get $t) (i32.mul (local.get $row) (local.get $across))) (i32.const 1)))
      (local.set $row (i32.shl (local.get $row) (i32.const 1)))
      (i32.store (local.get $places)
        (i32.add (i32.mul (local.get $image) (local.get $yi))
          (i32.add
            (i32.mul (local.get $row) (local.get $yr))
            (i32.mul (local.get $column) (local.get $py)))))
      (i32.store offset=4 (local.get $places)
        (i32.and
          (select (i32.const 15) (i32.const 5)
            (i32.lt_u (i32.add (local.get $column) (i32.const 1)) (local.get $ow)))
          (select (i32.const 15) (i32.const 3)
            (i32.lt_u (i32.add (local.get $row) (i32.const 1)) (local.get $oh)))))
      (local.set $places (i32.add (local.get $places) (i32.const 8)))
      ;; Addresses of the 16 pixels, less those of the padding.
      (local.set $row (i32.sub (local.get $row) (local.get $pt)))
      (local.set $column (i32.sub (local.get $column) (local.get $pl)))
      (local.set $p
        (i32.add (local.get $x)
          (i32.mul (local.get $px)
            (i32.add (local.get $column)
              (i32.mul (local.get $iw)
                (i32.add (local.get $row) (i32.mul (local.get $image) (local.get $ih))))))))
      (local.set $q (local.get $taps))
      (loop $rows
        (i32.store (local.get $q)
          (call $tap! (local.get $p) (local.get $column) (local.get $row)
            (local.get $iw) (local.get $ih) (local.get $zero)))
        (i32.store offset=4 (local.get $q)
          (call $tap! (i32.add (local.get $p) (local.get $px))
            (i32.add (local.get $column) (i32.const 1)) (local.get $row)
            (local.get $iw) (local.get $ih) (local.get $zero)))
        (i32.store offset=8 (local.get $q)
          (call $tap! (i32.add (local.get $p) (i32.shl (local.get $px) (i32.const 1)))
            (i32.add (local.get $column) (i32.const 2)) (local.get $row)
            (local.get $iw) (local.get $ih) (local.get $zero)))
        (i32.store offset=12 (local.get $q)
          (call $tap! (i32.add (local.get $p) (i32.mul (local.get $px) (i32.const 3)))
            (i32.add (local.get $column) (i32.const 3)) (local.get $row)
            (local.get $iw) (local.get $ih) (local.get $zero)))
        (local.set $p (i32.add (local.get $p) (i32.mul (local.get $iw) (local.get $px))))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br_if $rows
          (i32.lt_u (local.tee $q (i32.add (local.get $q) (i32.const 16)))
            (i32.add (local.get $taps) (i32.const 64)))))
      (local.set $c (i32.const 0))
      (loop $channels
        (local.set $to (i32.add (local.get $v) (local.get $c)))
        (local.set $q (local.get $taps))
        (local.set $d20 (local.set $d21 (local.set $d22 (local.set $d23
          (call $load4! (i32.add (local.get $q) (i32.const 32)) (local.get $c))))))
        (local.set $d10 (local.set $d11 (local.set $d12 (local.set $d13
          (call $load4! (local.get $q) (local.get $c))))))
        (local.set $to
          (call $input_row! (local.get $to) (local.get $step)
            (f32x4.sub (local.get $d10) (local.get $d20)) (f32x4.sub (local.get $d11) (local.get $d21))
            (f32x4.sub (local.get $d12) (local.get $d22)) (f32x4.sub (local.get $d13) (local.get $d23))))
        (local.set $d10 (local.set $d11 (local.set $d12 (local.set $d13
          (call $load4! (i32.add (local.get $q) (i32.const 16)) (local.get $c))))))
        (local.set $to
          (call $input_row! (local.get $to) (local.get $step)
            (f32x4.add (local.get $d10) (local.get $d20)) (f32x4.add (local.get $d11) (local.get $d21))
            (f32x4.add (local.get $d12) (local.get $d22)) (f32x4.add (local.get $d13) (local.get $d23))))
        (local.set $to
          (call $input_row! (local.get $to) (local.get $step)
            (f32x4.sub (local.get $d20) (local.get $d10)) (f32x4.sub (local.get $d21) (local.get $d11))
            (f32x4.sub (local.get $d22) (local.get $d12)) (f32x4.sub (local.get $d23) (local.get $d13))))
        (local.set $d20 (local.set $d21 (local.set $d22 (local.set $d23
          (call $load4! (i32.add (local.get $q) (i32.const 48)) (local.get $c))))))
        (local.set $to
          (call $input_row! (local.get $to) (local.get $step)
            (f32x4.sub (local.get $d10) (local.get $d20)) (f32x4.sub (local.get $d11) (local.get $d21))
            (f32x4.sub (local.get $d12) (local.get $d22)) (f32x4.sub (local.get $d13) (local.get $d23))))
        (br_if $channels
          (i32.lt_u (local.tee $c (i32.add (local.get $c) (i32.const 16))) (local.get $kb))))
      (local.set $v (i32.add (local.get $v) (local.get $kb)))
      (local.set $m (i32.add (local.get $m) (i32.const 1)))
      (br_if $tiles (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Four channels of the four pixels whose addresses are at q.
  (func $load4! (param $q i32) (param $c i32) (result v128 v128 v128 v128)
    (v128.load (i32.add (i32.load (local.get $q)) (local.get $c)))
    (v128.load (i32.add (i32.load offset=4 (local.get $q)) (local.get $c)))
    (v128.load (i32.add (i32.load offset=8 (local.get $q)) (local.get $c)))
    (v128.load (i32.add (i32.load offset=12 (local.get $q)) (local.get $c))))

  ;; A row of Bᵀ·x times B, into four of the 16 parts of V; where the next one goes.
  (func $input_row! (param $to i32) (param $step i32)
                    (param $t0 v128) (param $t1 v128) (param $t2 v128) (param $t3 v128) (result i32)
    (v128.store (local.get $to) (f32x4.sub (local.get $t0) (local.get $t2)))
    (local.set $to (i32.add (local.get $to) (local.get $step)))
    (v128.store (local.get $to) (f32x4.add (local.get $t1) (local.get $t2)))
    (local.set $to (i32.add (local.get $to) (local.get $step)))
    (v128.store (local.get $to) (f32x4.sub (local.get $t2) (local.get $t1)))
    (local.set $to (i32.add (local.get $to) (local.get $step)))
    (v128.store (local.get $to) (f32x4.sub (local.get $t1) (local.get $t3)))
    (i32.add (local.get $to) (local.get $step)))

  ;; U of a panel at w, whose taps are `size` bytes apart.
  (func $filters! (param $u i32) (param $step i32) (param $w i32) (param $size i32)
    (local $end i32) (local $to i32) (local $p i32)
    (local $g00 v128) (local $g10 v128) (local $g20 v128) (local $g30 v128)
    (local $g01 v128) (local $g11 v128) (local $g21 v128) (local $g31 v128)
    (local $g02 v128) (local $g12 v128) (local $g22 v128) (local $g32 v128)
    (local.set $end (i32.add (local.get $w) (local.get $size)))
    (loop $vectors
      (local.set $p (local.get $w))
      (local.set $g00 (v128.load (local.get $p)))
      (local.set $g01 (v128.load (local.tee $p (i32.add (local.get $p) (local.get $size)))))
      (local.set $g02 (v128.load (local.tee $p (i32.add (local.get $p) (local.get $size)))))
      (local.set $g10 (v128.load (local.tee $p (i32.add (local.get $p) (local.get $size)))))
      (local.set $g11 (v128.load (local.tee $p (i32.add (local.get $p) (local.get $size)))))
      (local.set $g12 (v128.load (local.tee $p (i32.add (local.get $p) (local.get $size)))))
      (local.set $g30 (v128.load (local.tee $p (i32.add (local.get $p) (local.get $size)))))
      (local.set $g31 (v128.load (local.tee $p (i32.add (local.get $p) (local.get $size)))))
      (local.set $g32 (v128.load (i32.add (local.get $p) (local.get $size))))
      (local.set $g10 (local.set $g20 (call $half_sums! (local.get $g00) (local.get $g10) (local.get $g30))))
      (local.set $g11 (local.set $g21 (call $half_sums! (local.get $g01) (local.get $g11) (local.get $g31))))
      (local.set $g12 (local.set $g22 (call $half_sums! (local.get $g02) (local.get $g12) (local.get $g32))))
      (local.set $to
        (call $filter_row! (local.get $u) (local.get $step) (local.get $g00) (local.get $g01) (local.get $g02)))
      (local.set $to
        (call $filter_row! (local.get $to) (local.get $step) (local.get $g10) (local.get $g11) (local.get $g12)))
      (local.set $to
        (call $filter_row! (local.get $to) (local.get $step) (local.get $g20) (local.get $g21) (local.get $g22)))
      (local.set $to
        (call $filter_row! (local.get $to) (local.get $step) (local.get $g30) (local.get $g31) (local.get $g32)))
      (local.set $u (i32.add (local.get $u) (i32.const 16)))
      (br_if $vectors
        (i32.lt_u (local.tee $w (i32.add (local.get $w) (i32.const 16))) (local.get $end)))))

  ;; ½((g0 + g2) + g1) and ½((g0 + g2) − g1).
  (func $half_sums! (param $g0 v128) (param $g1 v128) (param $g2 v128) (result v128 v128)
    (local $s v128)
    (local.set $s (f32x4.add (local.get $g0) (local.get $g2)))
    (f32x4.mul (f32x4.splat (f32.const 0.5)) (f32x4.add (local.get $s) (local.get $g1)))
    (f32x4.mul (f32x4.splat (f32.const 0.5)) (f32x4.sub (local.get $s) (local.get $g1))))

  ;; A row of G·W times Gᵀ, into four of the 16 parts of U; where the next one goes.
  (func $filter_row! (param $to i32) (param $step i32) (param $g0 v128) (param $g1 v128) (param $g2 v128) (result i32)
    (local $h0 v128) (local $h1 v128)
    (local.set $h0 (local.set $h1 (call $half_sums! (local.get $g0) (local.get $g1) (local.get $g2))))
    (v128.store (local.get $to) (local.get $g0))
    (local.set $to (i32.add (local.get $to) (local.get $step)))
    (v128.store (local.get $to) (local.get $h0))
    (local.set $to (i32.add (local.get $to) (local.get $step)))
    (v128.store (local.get $to) (local.get $h1))
    (local.set $to (i32.add (local.get $to) (local.get $step)))
    (v128.store (local.get $to) (local.get $g2))
    (i32.add (local.get $to) (local.get $step)))

  ;; M = V·U for each of the 16, `count` rows of V by eight columns. Past the last row it is repeated: M has room for that.
  (func $products! (param $m i32) (param $v i32) (param $v_step i32) (param $u i32) (param $u_step i32)
                   (param $kb i32) (param $count i32)
    (local $end i32) (local $last i32)
    (local $a0 i32) (local $a1 i32) (local $a2 i32) (local $a3 i32) (local $a4 i32) (local $a5 i32) (local $to i32)
    (local $c00 v128) (local $c01 v128) (local $c10 v128) (local $c11 v128)
    (local $c20 v128) (local $c21 v128) (local $c30 v128) (local $c31 v128)
    (local $c40 v128) (local $c41 v128) (local $c50 v128) (local $c51 v128)
    (local.set $end (i32.add (local.get $m) (i32.const 512)))
    (loop $parts
      (local.set $last (i32.add (local.get $v) (i32.mul (i32.sub (local.get $count) (i32.const 1)) (local.get $kb))))
      (local.set $a0 (local.get $v))
      (local.set $to (local.get $m))
      (loop $tiles
        (local.set $a1 (call $min_u! (i32.add (local.get $a0) (local.get $kb)) (local.get $last)))
        (local.set $a2 (call $min_u! (i32.add (local.get $a1) (local.get $kb)) (local.get $last)))
        (local.set $a3 (call $min_u! (i32.add (local.get $a2) (local.get $kb)) (local.get $last)))
        (local.set $c00 (v128.const i32x4 0 0 0 0)) (local.set $c01 (local.get $c00))
        (local.set $c10 (local.get $c00)) (local.set $c11 (local.get $c00))
        (local.set $c20 (local.get $c00)) (local.set $c21 (local.get $c00))
        (local.set $c30 (local.get $c00)) (local.set $c31 (local.get $c00))
        (if (i32.gt_u (call $tile_rows!) (i32.const 4))
          (then
            (local.set $a4 (call $min_u! (i32.add (local.get $a3) (local.get $kb)) (local.get $last)))
            (local.set $a5 (call $min_u! (i32.add (local.get $a4) (local.get $kb)) (local.get $last)))
            (local.set $c40 (local.get $c00)) (local.set $c41 (local.get $c00))
            (local.set $c50 (local.get $c00)) (local.set $c51 (local.get $c00))
            (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
            (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
            (local.set $c40 (local.set $c41 (local.set $c50 (local.set $c51
              (call $tile6x8! (i32.const 6) (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
                (local.get $a4) (local.get $a5)
                (local.get $u) (local.get $kb) (i32.const 0) (i32.const 0) (i32.const 0)
                (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
                (local.get $c40) (local.get $c41) (local.get $c50) (local.get $c51)))))))))))))))
          (else
            (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
            (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
              (call $tile4x8! (i32.const 1) (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
                (local.get $u) (local.get $kb) (i32.const 0) (i32.const 0) (i32.const 0)
                (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))))
        (v128.store (local.get $to) (local.get $c00)) (v128.store offset=16 (local.get $to) (local.get $c01))
        (v128.store offset=512 (local.get $to) (local.get $c10)) (v128.store offset=528 (local.get $to) (local.get $c11))
        (v128.store offset=1024 (local.get $to) (local.get $c20)) (v128.store offset=1040 (local.get $to) (local.get $c21))
        (v128.store offset=1536 (local.get $to) (local.get $c30)) (v128.store offset=1552 (local.get $to) (local.get $c31))
        (if (i32.gt_u (call $tile_rows!) (i32.const 4))
          (then
            (v128.store offset=2048 (local.get $to) (local.get $c40))
            (v128.store offset=2064 (local.get $to) (local.get $c41))
            (v128.store offset=2560 (local.get $to) (local.get $c50))
            (v128.store offset=2576 (local.get $to) (local.get $c51))))
        (local.set $to (i32.add (local.get $to) (i32.shl (call $tile_rows!) (i32.const 9))))
        (local.set $a0 (i32.add (local.get $a0) (i32.mul (call $tile_rows!) (local.get $kb))))
        (br_if $tiles (i32.le_u (local.get $a0) (local.get $last))))
      (local.set $v (i32.add (local.get $v) (local.get $v_step)))
      (local.set $u (i32.add (local.get $u) (local.get $u_step)))
      (br_if $parts
        (i32.lt_u (local.tee $m (i32.add (local.get $m) (i32.const 32))) (local.get $end)))))

  ;; The outputs of `count` tiles, of the `cols` columns from y on.
  (func $outputs! (param $y i32) (param $b i32) (param $r i32) (param $dr i32) (param $m i32) (param $places i32)
                  (param $lo v128) (param $hi v128) (param $py i32) (param $yr i32) (param $cols i32) (param $count i32)
    (local $p i32) (local $exist i32) (local $step i32)
    (local $c00 v128) (local $c01 v128) (local $c10 v128) (local $c11 v128)
    (local $c20 v128) (local $c21 v128) (local $c30 v128) (local $c31 v128)
    (loop $tiles
      (local.set $c00 (local.set $c10 (local.set $c20 (local.set $c30 (call $output_tile! (local.get $m))))))
      (local.set $c01 (local.set $c11 (local.set $c21 (local.set $c31
        (call $output_tile! (i32.add (local.get $m) (i32.const 16)))))))
      (local.set $p (i32.add (local.get $y) (i32.load (local.get $places))))
      (local.set $exist (i32.load offset=4 (local.get $places)))
      (local.set $step (local.get $py))
      ;; One output after the other moves up to the first place.
      (loop $pixels
        (if (i32.and (local.get $exist) (i32.const 1))
          (then
            (local.set $c00 (local.set $c01 (call $add8! (local.get $c00) (local.get $c01) (local.get $b))))
            (if (local.get $r)
              (then
                (local.set $c00 (local.set $c01
                  (call $add8! (local.get $c00) (local.get $c01) (i32.add (local.get $p) (local.get $dr)))))))
            (call $clamp_store8! (local.get $p) (local.get $c00) (local.get $c01)
              (local.get $lo) (local.get $hi) (local.get $cols))))
        (local.set $c00 (local.get $c10)) (local.set $c01 (local.get $c11))
        (local.set $c10 (local.get $c20)) (local.set $c11 (local.get $c21))
        (local.set $c20 (local.get $c30)) (local.set $c21 (local.get $c31))
        (local.set $p (i32.add (local.get $p) (local.get $step)))
        (local.set $step (i32.sub (local.get $yr) (local.get $step)))
        (br_if $pixels (local.tee $exist (i32.shr_u (local.get $exist) (i32.const 1)))))
      (local.set $m (i32.add (local.get $m) (i32.const 512)))
      (local.set $places (i32.add (local.get $places) (i32.const 8)))
      (br_if $tiles (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Four columns of the four outputs whose M is at m.
  (func $output_tile! (param $m i32) (result v128 v128 v128 v128)
    (local $s00 v128) (local $s01 v128) (local $s02 v128) (local $s03 v128)
    (local $s10 v128) (local $s11 v128) (local $s12 v128) (local $s13 v128)
    (local.set $s00 (local.set $s10 (call $output_sums!
      (v128.load (local.get $m)) (v128.load offset=128 (local.get $m))
      (v128.load offset=256 (local.get $m)) (v128.load offset=384 (local.get $m)))))
    (local.set $s01 (local.set $s11 (call $output_sums!
      (v128.load offset=32 (local.get $m)) (v128.load offset=160 (local.get $m))
      (v128.load offset=288 (local.get $m)) (v128.load offset=416 (local.get $m)))))
    (local.set $s02 (local.set $s12 (call $output_sums!
      (v128.load offset=64 (local.get $m)) (v128.load offset=192 (local.get $m))
      (v128.load offset=320 (local.get $m)) (v128.load offset=448 (local.get $m)))))
    (local.set $s03 (local.set $s13 (call $output_sums!
      (v128.load offset=96 (local.get $m)) (v128.load offset=224 (local.get $m))
      (v128.load offset=352 (local.get $m)) (v128.load offset=480 (local.get $m)))))
    (local.set $s00 (local.set $s01
      (call $output_sums! (local.get $s00) (local.get $s01) (local.get $s02) (local.get $s03))))
    (local.set $s10 (local.set $s11
      (call $output_sums! (local.get $s10) (local.get $s11) (local.get $s12) (local.get $s13))))
    (local.get $s00) (local.get $s01) (local.get $s10) (local.get $s11))

  ;; (m0 + m1) + m2 and (m1 − m2) − m3.
  (func $output_sums! (param $m0 v128) (param $m1 v128) (param $m2 v128) (param $m3 v128) (result v128 v128)
    (f32x4.add (f32x4.add (local.get $m0) (local.get $m1)) (local.get $m2))
    (f32x4.sub (f32x4.sub (local.get $m1) (local.get $m2)) (local.get $m3)))
)
