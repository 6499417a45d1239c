;; conv — convolution over channels-last feature maps
(module
  ;; f32_conv — y[n,oh,ow,m] = clamp(b[m] + Σ(kh,kw,c) x[n, oh·sh − pt + kh·dh, ow·sw − pl + kw·dw, c]·W + r, lo, hi)
  ;; Order     acc = b; taps (kh, kw, c) ascending, padding as +0: acc = madd(x, w, acc); then + r, one rounding
  ;; Layout    x pixels px bytes apart, rows of iw pixels, images of ih rows; y and r images, rows and pixels yi, yr
  ;;           and py bytes apart;
  ;;           W packed [⌈oc/8⌉][kh][kw][ic][8], zeros in the last panel · b padded to 8 · r = 0: none; r = y allowed
  ;; Requires  ic·4 zero bytes at `zero`
  ;; Writes    output rows m0 ≤ n·oh + row < m1, channels 0:oc; reads up to 28 bytes past r
  ;; Tiles     $tile_rows! output pixels by eight output channels, in blocks: see $tile_block!. Pixels follow each other
  ;;           across the ends of rows and images; past the last one it is repeated, with the same result. Where all
  ;;           windows of a tile lie inside and pixels are dense, a kernel row is one run of kw·ic floats; elsewhere
  ;;           every tap is a run of ic.
  (func $f32_conv (export "f32_conv")
    (param $y i32) (param $x i32) (param $w i32) (param $b i32) (param $r i32) (param $zero i32)
    (param $lo f32) (param $hi f32)
    (param $ih i32) (param $iw i32) (param $ic i32) (param $oh i32) (param $ow i32) (param $oc i32)
    (param $kh i32) (param $kw i32) (param $sh i32) (param $sw i32) (param $dh i32) (param $dw i32)
    (param $pt i32) (param $pl i32) (param $px i32) (param $py i32)
    (param $yr i32) (param $yi i32) (param $m0 i32) (param $m1 i32)
    (local $vlo v128) (local $vhi v128) (local $kb i32) (local $dense i32)
    ;; The pixel being looked at: address of its window, its distance in y, first column and row of its window. At the
    ;; end of a row it moves on by to_row as well, at the end of an image also by to_image.
    (local $p i32) (local $o i32) (local $ix i32) (local $iy i32) (local $left i32)
    (local $right i32) (local $bottom i32) (local $x_to_row i32) (local $y_to_row i32)
    (local $x_to_image i32) (local $y_to_image i32)
    ;; A window lies inside where its first column plus near_x is below room_x, without sign; likewise rows.
    (local $near_x i32) (local $near_y i32) (local $room_x i32) (local $room_y i32)
    (local $inside i32) (local $run i32)
    (local $block i32) (local $count i32) (local $end i32) (local $j i32) (local $panel i32) (local $pw i32)
    (local $block_p i32) (local $block_o i32) (local $block_ix i32) (local $block_iy i32)
    (local $kx i32) (local $down i32) (local $ky i32) (local $dx i32) (local $dy i32) (local $row i32) (local $t i32)
    (local $p0 i32) (local $o0 i32) (local $ix0 i32) (local $iy0 i32) (local $x0 i32)
    (local $p1 i32) (local $o1 i32) (local $ix1 i32) (local $iy1 i32) (local $x1 i32)
    (local $p2 i32) (local $o2 i32) (local $ix2 i32) (local $iy2 i32) (local $x2 i32)
    (local $p3 i32) (local $o3 i32) (local $ix3 i32) (local $iy3 i32) (local $x3 i32)
    (local $p4 i32) (local $o4 i32) (local $ix4 i32) (local $iy4 i32) (local $x4 i32)
    (local $p5 i32) (local $o5 i32) (local $ix5 i32) (local $iy5 i32) (local $x5 i32)
    (local $c00 v128) (local $c01 v128) (local $c10 v128) (local $c11 v128)
    (local $c20 v128) (local $c21 v128) (local $c30 v128) (local $c31 v128)
    (local $c40 v128) (local $c41 v128) (local $c50 v128) (local $c51 v128)
    (if (i32.ge_u (local.get $m0) (local.get $m1)) (then (return)))
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $kb (i32.shl (local.get $ic) (i32.const 2)))
    (local.set $run (i32.mul (local.get $kb) (local.get $kw)))
    (local.set $dense
      (i32.and (i32.eq (local.get $dw) (i32.const 1)) (i32.eq (local.get $px) (local.get $kb))))
    (local.set $row (i32.mul (local.get $iw) (local.get $px)))
    (local.set $down (i32.mul (local.get $dh) (local.get $row)))
    (local.set $dx (i32.mul (i32.sub (local.get $kw) (i32.const 1)) (local.get $dw)))
    (local.set $dy (i32.mul (i32.sub (local.get $kh) (i32.const 1)) (local.get $dh)))
    (local.set $near_x (call $min_s! (local.get $dx) (i32.const 0)))
    (local.set $near_y (call $min_s! (local.get $dy) (i32.const 0)))
    (local.set $room_x (call $room! (local.get $iw) (local.get $dx)))
    (local.set $room_y (call $room! (local.get $ih) (local.get $dy)))
    ;; The first pixel.
    (local.set $t (i32.div_u (local.get $m0) (local.get $oh)))
    (local.set $iy (i32.sub (local.get $m0) (i32.mul (local.get $t) (local.get $oh))))
    (local.set $o (i32.add (i32.mul (local.get $t) (local.get $yi)) (i32.mul (local.get $iy) (local.get $yr))))
    (local.set $iy (i32.sub (i32.mul (local.get $iy) (local.get $sh)) (local.get $pt)))
    (local.set $ix (i32.sub (i32.const 0) (local.get $pl)))
    (local.set $p
      (i32.add (local.get $x)
        (i32.add
          (i32.mul (i32.add (i32.mul (local.get $t) (local.get $ih)) (local.get $iy)) (local.get $row))
          (i32.mul (local.get $ix) (local.get $px)))))
    (local.set $right (i32.sub (i32.mul (local.get $ow) (local.get $sw)) (local.get $pl)))
    (local.set $bottom (i32.sub (i32.mul (local.get $oh) (local.get $sh)) (local.get $pt)))
    (local.set $x_to_row
      (i32.sub
        (i32.mul (local.get $sh) (local.get $row))
        (i32.mul (i32.mul (local.get $ow) (local.get $sw)) (local.get $px))))
    (local.set $y_to_row (i32.sub (local.get $yr) (i32.mul (local.get $ow) (local.get $py))))
    (local.set $x_to_image
      (i32.mul (i32.sub (local.get $ih) (i32.mul (local.get $oh) (local.get $sh))) (local.get $row)))
    (local.set $y_to_image (i32.sub (local.get $yi) (i32.mul (local.get $oh) (local.get $yr))))
    (local.set $block
      (i32.mul (call $tile_rows!)
        (call $tile_block!
          (i32.mul (i32.mul (i32.mul (local.get $kh) (local.get $kw)) (local.get $kb)) (local.get $oc))
          (i32.mul (i32.mul (local.get $kb) (call $tile_rows!)) (i32.mul (local.get $sh) (local.get $sw))))))
    (local.set $count (i32.mul (i32.sub (local.get $m1) (local.get $m0)) (local.get $ow)))
    (loop $blocks
      ;; Pixels left after this block.
      (local.set $end (i32.sub (local.get $count) (call $min_u! (local.get $count) (local.get $block))))
      (local.set $block_p (local.get $p)) (local.set $block_o (local.get $o))
      (local.set $block_ix (local.get $ix)) (local.set $block_iy (local.get $iy))
      (local.set $j (i32.const 0))
      (local.set $panel (local.get $w))
      (loop $panels
        (local.set $left (local.get $count))
        (if (i32.gt_u (local.get $block) (call $tile_rows!))
          (then
            (local.set $p (local.get $block_p)) (local.set $o (local.get $block_o))
            (local.set $ix (local.get $block_ix)) (local.set $iy (local.get $block_iy))))
        (loop $tiles
          ;; Where the tile's pixels are. Those of a block's only tile stay from panel to panel.
          (if (i32.or (i32.eqz (local.get $j)) (i32.gt_u (local.get $block) (call $tile_rows!)))
            (then
              (local.set $p0 (local.get $p)) (local.set $o0 (local.get $o))
              (local.set $ix0 (local.get $ix)) (local.set $iy0 (local.get $iy))
              (local.set $p (local.set $o (local.set $ix (local.set $iy
                (call $next_pixel! (i32.gt_s (local.get $left) (i32.const 1))
                  (local.get $p) (local.get $o) (local.get $ix) (local.get $iy)
                  (i32.mul (local.get $sw) (local.get $px)) (local.get $py) (local.get $sw) (local.get $sh)
                  (local.get $right) (local.get $x_to_row) (local.get $y_to_row) (local.get $pl)
                  (local.get $bottom) (local.get $x_to_image) (local.get $y_to_image) (local.get $pt))))))
              (local.set $p1 (local.get $p)) (local.set $o1 (local.get $o))
              (local.set $ix1 (local.get $ix)) (local.set $iy1 (local.get $iy))
              (local.set $p (local.set $o (local.set $ix (local.set $iy
                (call $next_pixel! (i32.gt_s (local.get $left) (i32.const 2))
                  (local.get $p) (local.get $o) (local.get $ix) (local.get $iy)
                  (i32.mul (local.get $sw) (local.get $px)) (local.get $py) (local.get $sw) (local.get $sh)
                  (local.get $right) (local.get $x_to_row) (local.get $y_to_row) (local.get $pl)
                  (local.get $bottom) (local.get $x_to_image) (local.get $y_to_image) (local.get $pt))))))
              (local.set $p2 (local.get $p)) (local.set $o2 (local.get $o))
              (local.set $ix2 (local.get $ix)) (local.set $iy2 (local.get $iy))
              (local.set $p (local.set $o (local.set $ix (local.set $iy
                (call $next_pixel! (i32.gt_s (local.get $left) (i32.const 3))
                  (local.get $p) (local.get $o) (local.get $ix) (local.get $iy)
                  (i32.mul (local.get $sw) (local.get $px)) (local.get $py) (local.get $sw) (local.get $sh)
                  (local.get $right) (local.get $x_to_row) (local.get $y_to_row) (local.get $pl)
                  (local.get $bottom) (local.get $x_to_image) (local.get $y_to_image) (local.get $pt))))))
              (local.set $p3 (local.get $p)) (local.set $o3 (local.get $o))
              (local.set $ix3 (local.get $ix)) (local.set $iy3 (local.get $iy))
              (if (i32.gt_u (call $tile_rows!) (i32.const 4))
                (then
                  (local.set $p (local.set $o (local.set $ix (local.set $iy
                    (call $next_pixel! (i32.gt_s (local.get $left) (i32.const 4))
                      (local.get $p) (local.get $o) (local.get $ix) (local.get $iy)
                      (i32.mul (local.get $sw) (local.get $px)) (local.get $py) (local.get $sw) (local.get $sh)
                      (local.get $right) (local.get $x_to_row) (local.get $y_to_row) (local.get $pl)
                      (local.get $bottom) (local.get $x_to_image) (local.get $y_to_image) (local.get $pt))))))
                  (local.set $p4 (local.get $p)) (local.set $o4 (local.get $o))
                  (local.set $ix4 (local.get $ix)) (local.set $iy4 (local.get $iy))
                  (local.set $p (local.set $o (local.set $ix (local.set $iy
                    (call $next_pixel! (i32.gt_s (local.get $left) (i32.const 5))
                      (local.get $p) (local.get $o) (local.get $ix) (local.get $iy)
                      (i32.mul (local.get $sw) (local.get $px)) (local.get $py) (local.get $sw) (local.get $sh)
                      (local.get $right) (local.get $x_to_row) (local.get $y_to_row) (local.get $pl)
                      (local.get $bottom) (local.get $x_to_image) (local.get $y_to_image) (local.get $pt))))))
                  (local.set $p5 (local.get $p)) (local.set $o5 (local.get $o))
                  (local.set $ix5 (local.get $ix)) (local.set $iy5 (local.get $iy))))
              (local.set $p (local.set $o (local.set $ix (local.set $iy
                (call $next_pixel! (i32.gt_s (local.get $left) (call $tile_rows!))
                  (local.get $p) (local.get $o) (local.get $ix) (local.get $iy)
                  (i32.mul (local.get $sw) (local.get $px)) (local.get $py) (local.get $sw) (local.get $sh)
                  (local.get $right) (local.get $x_to_row) (local.get $y_to_row) (local.get $pl)
                  (local.get $bottom) (local.get $x_to_image) (local.get $y_to_image) (local.get $pt))))))
              (local.set $inside
                (i32.and (call $within! (local.get $ix0) (local.get $iy0) (local.get $near_x) (local.get $near_y)
                  (local.get $room_x) (local.get $room_y))
                (i32.and (call $within! (local.get $ix1) (local.get $iy1) (local.get $near_x) (local.get $near_y)
                  (local.get $room_x) (local.get $room_y))
                (i32.and (call $within! (local.get $ix2) (local.get $iy2) (local.get $near_x) (local.get $near_y)
                  (local.get $room_x) (local.get $room_y))
                (call $within! (local.get $ix3) (local.get $iy3) (local.get $near_x) (local.get $near_y)
                  (local.get $room_x) (local.get $room_y))))))
              (if (i32.gt_u (call $tile_rows!) (i32.const 4))
                (then
                  (local.set $inside
                    (i32.and (local.get $inside)
                    (i32.and (call $within! (local.get $ix4) (local.get $iy4) (local.get $near_x) (local.get $near_y)
                      (local.get $room_x) (local.get $room_y))
                    (call $within! (local.get $ix5) (local.get $iy5) (local.get $near_x) (local.get $near_y)
                      (local.get $room_x) (local.get $room_y)))))))))
          (local.set $t (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 2))))
          (local.set $c00 (v128.load (local.get $t))) (local.set $c01 (v128.load offset=16 (local.get $t)))
          (local.set $c10 (local.get $c00)) (local.set $c11 (local.get $c01))
          (local.set $c20 (local.get $c00)) (local.set $c21 (local.get $c01))
          (local.set $c30 (local.get $c00)) (local.set $c31 (local.get $c01))
          (if (i32.gt_u (call $tile_rows!) (i32.const 4))
            (then
              (local.set $c40 (local.get $c00)) (local.set $c41 (local.get $c01))
              (local.set $c50 (local.get $c00)) (local.set $c51 (local.get $c01))))
          (local.set $pw (local.get $panel))
          (if (i32.and (local.get $inside) (local.get $dense))
            (then
              (local.set $x0 (local.get $p0)) (local.set $x1 (local.get $p1))
              (local.set $x2 (local.get $p2)) (local.set $x3 (local.get $p3))
              (local.set $x4 (local.get $p4)) (local.set $x5 (local.get $p5))
              (local.set $ky (local.get $kh))
              (loop $whole_rows
                (if (i32.gt_u (call $tile_rows!) (i32.const 4))
                  (then
                    (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
                    (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                    (local.set $c40 (local.set $c41 (local.set $c50 (local.set $c51
                      (call $tile6x8! (i32.const 6) (local.get $x0) (local.get $x1) (local.get $x2) (local.get $x3)
                        (local.get $x4) (local.get $x5)
                        (local.get $pw) (local.get $run) (i32.const 0) (i32.const 0) (i32.const 0)
                        (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                        (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
                        (local.get $c40) (local.get $c41) (local.get $c50) (local.get $c51)))))))))))))))
                  (else
                    (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
                    (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                      (call $tile4x8! (i32.const 1) (local.get $x0) (local.get $x1) (local.get $x2) (local.get $x3)
                        (local.get $pw) (local.get $run) (i32.const 0) (i32.const 0) (i32.const 0)
                        (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                        (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))))
                (local.set $pw (i32.add (local.get $pw) (i32.shl (local.get $run) (i32.const 3))))
                (local.set $x0 (i32.add (local.get $x0) (local.get $down)))
                (local.set $x1 (i32.add (local.get $x1) (local.get $down)))
                (local.set $x2 (i32.add (local.get $x2) (local.get $down)))
                (local.set $x3 (i32.add (local.get $x3) (local.get $down)))
                (if (i32.gt_u (call $tile_rows!) (i32.const 4))
                  (then
                    (local.set $x4 (i32.add (local.get $x4) (local.get $down)))
                    (local.set $x5 (i32.add (local.get $x5) (local.get $down)))))
                (br_if $whole_rows (local.tee $ky (i32.sub (local.get $ky) (i32.const 1))))))
            (else
              (local.set $ky (i32.const 0)) (local.set $dy (i32.const 0)) (local.set $row (i32.const 0))
              (loop $kernel_rows
                (local.set $kx (i32.const 0)) (local.set $dx (i32.const 0)) (local.set $t (local.get $row))
                (loop $kernel_columns
                  (local.set $x0 (i32.add (local.get $p0) (local.get $t)))
                  (local.set $x1 (i32.add (local.get $p1) (local.get $t)))
                  (local.set $x2 (i32.add (local.get $p2) (local.get $t)))
                  (local.set $x3 (i32.add (local.get $p3) (local.get $t)))
                  (if (i32.gt_u (call $tile_rows!) (i32.const 4))
                    (then
                      (local.set $x4 (i32.add (local.get $p4) (local.get $t)))
                      (local.set $x5 (i32.add (local.get $p5) (local.get $t)))))
                  (if (i32.eqz (local.get $inside))
                    (then
                      (local.set $x0
                        (call $tap! (local.get $x0)
                          (i32.add (local.get $ix0) (local.get $dx)) (i32.add (local.get $iy0) (local.get $dy))
                          (local.get $iw) (local.get $ih) (local.get $zero)))
                      (local.set $x1
                        (call $tap! (local.get $x1)
                          (i32.add (local.get $ix1) (local.get $dx)) (i32.add (local.get $iy1) (local.get $dy))
                          (local.get $iw) (local.get $ih) (local.get $zero)))
                      (local.set $x2
                        (call $tap! (local.get $x2)
                          (i32.add (local.get $ix2) (local.get $dx)) (i32.add (local.get $iy2) (local.get $dy))
                          (local.get $iw) (local.get $ih) (local.get $zero)))
                      (local.set $x3
                        (call $tap! (local.get $x3)
                          (i32.add (local.get $ix3) (local.get $dx)) (i32.add (local.get $iy3) (local.get $dy))
                          (local.get $iw) (local.get $ih) (local.get $zero)))
                      (if (i32.gt_u (call $tile_rows!) (i32.const 4))
                        (then
                          (local.set $x4
                            (call $tap! (local.get $x4)
                              (i32.add (local.get $ix4) (local.get $dx)) (i32.add (local.get $iy4) (local.get $dy))
                              (local.get $iw) (local.get $ih) (local.get $zero)))
                          (local.set $x5
                            (call $tap! (local.get $x5)
                              (i32.add (local.get $ix5) (local.get $dx)) (i32.add (local.get $iy5) (local.get $dy))
                              (local.get $iw) (local.get $ih) (local.get $zero)))))))
                  (if (i32.gt_u (call $tile_rows!) (i32.const 4))
                    (then
                      (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
                      (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                      (local.set $c40 (local.set $c41 (local.set $c50 (local.set $c51
                        (call $tile6x8! (i32.const 6) (local.get $x0) (local.get $x1) (local.get $x2) (local.get $x3)
                          (local.get $x4) (local.get $x5)
                          (local.get $pw) (local.get $kb) (i32.const 0) (i32.const 0) (i32.const 0)
                          (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                          (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
                          (local.get $c40) (local.get $c41) (local.get $c50) (local.get $c51)))))))))))))))
                    (else
                      (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
                      (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                        (call $tile4x8! (i32.const 1) (local.get $x0) (local.get $x1) (local.get $x2) (local.get $x3)
                          (local.get $pw) (local.get $kb) (i32.const 0) (i32.const 0) (i32.const 0)
                          (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                          (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))))
                  (local.set $pw (i32.add (local.get $pw) (i32.shl (local.get $kb) (i32.const 3))))
                  (local.set $dx (i32.add (local.get $dx) (local.get $dw)))
                  (local.set $t (i32.add (local.get $t) (i32.mul (local.get $dw) (local.get $px))))
                  (br_if $kernel_columns
                    (i32.lt_u (local.tee $kx (i32.add (local.get $kx) (i32.const 1))) (local.get $kw))))
                (local.set $dy (i32.add (local.get $dy) (local.get $dh)))
                (local.set $row (i32.add (local.get $row) (local.get $down)))
                (br_if $kernel_rows
                  (i32.lt_u (local.tee $ky (i32.add (local.get $ky) (i32.const 1))) (local.get $kh))))))
          (local.set $t (i32.add (local.get $y) (i32.shl (local.get $j) (i32.const 2))))
          (call $store_tile!
            (i32.add (local.get $t) (local.get $o0)) (i32.add (local.get $t) (local.get $o1))
            (i32.add (local.get $t) (local.get $o2)) (i32.add (local.get $t) (local.get $o3))
            (i32.add (local.get $t) (local.get $o4)) (i32.add (local.get $t) (local.get $o5))
            (local.get $r) (i32.sub (local.get $r) (local.get $y))
            (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
            (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
            (local.get $c40) (local.get $c41) (local.get $c50) (local.get $c51)
            (local.get $vlo) (local.get $vhi) (i32.sub (local.get $oc) (local.get $j)))
          (local.set $left (i32.sub (local.get $left) (call $tile_rows!)))
          (br_if $tiles (i32.gt_s (local.get $left) (local.get $end))))
        (local.set $panel (local.get $pw))
        (br_if $panels
          (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 8))) (local.get $oc))))
      (br_if $blocks (local.tee $count (local.get $end)))))

  ;; The next pixel, if there is one: dx and dy bytes further.
  (func $next_pixel! (param $more i32) (param $p i32) (param $o i32) (param $ix i32) (param $iy i32)
                     (param $dx i32) (param $dy i32) (param $sw i32) (param $sh i32)
                     (param $right i32) (param $x_to_row i32) (param $y_to_row i32) (param $pl i32)
                     (param $bottom i32) (param $x_to_image i32) (param $y_to_image i32) (param $pt i32)
                     (result i32 i32 i32 i32)
    (if (local.get $more)
      (then
        (local.set $p (i32.add (local.get $p) (local.get $dx)))
        (local.set $o (i32.add (local.get $o) (local.get $dy)))
        (local.set $ix (i32.add (local.get $ix) (local.get $sw)))
        (if (i32.eq (local.get $ix) (local.get $right))
          (then
            (local.set $p (i32.add (local.get $p) (local.get $x_to_row)))
            (local.set $o (i32.add (local.get $o) (local.get $y_to_row)))
            (local.set $ix (i32.sub (i32.const 0) (local.get $pl)))
            (local.set $iy (i32.add (local.get $iy) (local.get $sh)))
            (if (i32.eq (local.get $iy) (local.get $bottom))
              (then
                (local.set $p (i32.add (local.get $p) (local.get $x_to_image)))
                (local.set $o (i32.add (local.get $o) (local.get $y_to_image)))
                (local.set $iy (i32.sub (i32.const 0) (local.get $pt)))))))))
    (local.get $p) (local.get $o) (local.get $ix) (local.get $iy))

  ;; The signed minimum.
  (func $min_s! (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.lt_s (local.get $a) (local.get $b))))

  ;; Whether the window at column x and row y lies inside of the input.
  (func $within! (param $x i32) (param $y i32) (param $near_x i32) (param $near_y i32)
                 (param $room_x i32) (param $room_y i32) (result i32)
    (i32.and
      (i32.lt_u (i32.add (local.get $x) (local.get $near_x)) (local.get $room_x))
      (i32.lt_u (i32.add (local.get $y) (local.get $near_y)) (local.get $room_y))))

  ;; How many places a window has in `size` whose last tap lies `reach`, of either sign, from its first.
  (func $room! (param $size i32) (param $reach i32) (result i32)
    (local $room i32)
    (local.set $room
      (i32.sub (local.get $size)
        (select (local.get $reach) (i32.sub (i32.const 0) (local.get $reach))
          (i32.ge_s (local.get $reach) (i32.const 0)))))
    (select (local.get $room) (i32.const 0) (i32.gt_s (local.get $room) (i32.const 0))))

  ;; The address of a pixel, or `zero` where its column or row lies in the padding.
  (func $tap! (param $p i32) (param $x i32) (param $y i32) (param $w i32) (param $h i32) (param $zero i32) (result i32)
    (select (local.get $p) (local.get $zero)
      (i32.and (i32.lt_u (local.get $x) (local.get $w)) (i32.lt_u (local.get $y) (local.get $h)))))
)
