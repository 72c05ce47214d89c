/// What the demo's pages say, in the languages the detector knows.
enum DemoTexts {
  static let all: [(language: String, text: String)] = [
    (
      "en",
      """
      Once there was a small fox who collected buttons. She kept them in a hollow stone, sorted by colour, and every \
      evening she chose one to take with her into the night. When the snow came, she gave them away, one after another.
      """
    ),
    (
      "en",
      """
      The lighthouse keeper had never learned to swim, which was strange for somebody who lived on a rock. He said that \
      the sea was a neighbour, and that it is wise to be polite to neighbours and not to visit them too often.
      """
    ),
    (
      "de",
      """
      Es war einmal eine Maus, die konnte nicht schlafen, weil der Mond ihr zu laut war. Also schrieb sie ihm einen Brief \
      und bat ihn höflich, ein wenig leiser zu scheinen. Drei Nächte später kam die Antwort mit der Eule.
      """
    ),
    (
      "fr",
      """
      Il y avait un escargot qui voulait gagner une course. Il s'entraînait chaque soir sur le mur du jardin, et ses amis \
      lui disaient qu'il arriverait peut-être au printemps. Il leur répondait que le printemps lui convenait très bien.
      """
    ),
    (
      "en",
      """
      In our village there is a clock that goes backwards. Nobody repairs it, because the people have noticed that on \
      the square beneath it they grow a little younger, and the children who play there are called home much too early.
      """
    ),
    (
      "es",
      """
      Había una vez una nube que tenía miedo a las alturas. Por las mañanas bajaba hasta los tejados y se quedaba quieta \
      entre las chimeneas, hasta que un día el viento le preguntó qué le pasaba y la llevó de la mano.
      """
    ),
  ]
}
